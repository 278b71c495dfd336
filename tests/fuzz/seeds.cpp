// SPDX-License-Identifier: GPL-3.0-or-later
// fuzz_seeds FOLDER: writes a sample of every form of every format into FOLDER/<format>/, for the drivers to start from.
#include "tests/fixtures/every_format.hpp"
#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <map>

int main(int argc, char** argv) {
    if (argc != 2) {
        std::fputs("usage: fuzz_seeds FOLDER\n", stderr);
        return 2;
    }
    // By the first word of a sample's name: the driver that reads it.
    const std::map<std::string, std::string> drivers{
        {"kdump", "kdump"}, {"diskdump", "diskdump"}, {"flattened", "flattened"}, {"ELF", "elf"},      {"LKCD", "lkcd"},
        {"s390", "s390"},   {"VMDUMP", "vmdump"},     {"sadump", "sadump"},       {"Xen", "xen_core"}, {"LiME", "lime"},
        {"AVML", "avml"},   {"QEMU", "qemu_stream"},  {"libvirt", "libvirt"},     {"VMware", "vmware"}};
    for (const auto& sample : kcrash::fixtures::samples_of_every_format()) {
        const std::string word = sample.name.substr(0, sample.name.find_first_of(", "));
        const auto folder = std::filesystem::path(argv[1]) / drivers.at(word);
        std::filesystem::create_directories(folder);
        std::string name = sample.name;
        std::replace_if(
            name.begin(), name.end(), [](char c) { return c == ' ' || c == ','; }, '-');
        std::ofstream(folder / name, std::ios::binary)
            .write(reinterpret_cast<const char*>(sample.bytes.data()), static_cast<std::streamsize>(sample.bytes.size()));
    }
}
