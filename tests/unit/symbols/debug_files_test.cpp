// SPDX-License-Identifier: GPL-3.0-or-later
// Folders with files of several build-ids, and which of them is taken.
#include "symbols/debug_files.hpp"
#include "tests/fixtures/object_writer.hpp"
#include <algorithm>
#include <cstdlib>
#include <doctest/doctest.h>
#include <filesystem>
#include <fstream>

using namespace kcrash;
using namespace kcrash::fixtures;
namespace fs = std::filesystem;

namespace {

constexpr std::string_view right = "\x12\x34\x56\x78", wrong = "\x99\x99\x99\x99";

struct Folder {
    fs::path path;
    Folder() {
        char name[] = "/tmp/kcrash-test-XXXXXX";
        path = ::mkdtemp(name);
    }
    ~Folder() { fs::remove_all(path); }
    Folder(const Folder&) = delete;
    Folder& operator=(const Folder&) = delete;

    // An ELF file with a build-id; dwarf: and with debug information.
    std::string put(const std::string& name, std::string_view id, bool dwarf, std::string_view link = {}, uint16_t type = ET_EXEC) const {
        ObjectWriter object;
        object.type = type;
        if (!id.empty()) object.add_build_id(id);
        if (dwarf) object.add(".debug_info", 0, 0, std::vector<std::byte>(16));
        if (!link.empty()) {
            ByteImage section;
            section.put_text(0, link);
            section.grow((link.size() + 4) & ~size_t{3});
            section.put<uint32_t>(section.size(), 0); // the checksum, of which nothing is made
            object.add(".gnu_debuglink", 0, 0, section.bytes);
        }
        fs::create_directories((path / name).parent_path());
        const auto bytes = object.write();
        std::ofstream(path / name, std::ios::binary).write(reinterpret_cast<const char*>(bytes.data()), static_cast<std::streamsize>(bytes.size()));
        return path / name;
    }
    std::string half_of(const std::string& file, const std::vector<std::string>& directories = {}) const {
        const std::string found = find_debug_half(*ElfFile::open(file), directories).path;
        return found.empty() ? "none" : fs::relative(found, path).string();
    }
    std::string module(const std::string& name, std::string_view id) const {
        LoadedModule wanted;
        wanted.name = name;
        const auto bytes = std::as_bytes(std::span(id));
        wanted.build_id.assign(bytes.begin(), bytes.end());
        const std::string found = find_module_file(wanted, "6.1.0-fixture", {path.string()}).path;
        return found.empty() ? "none" : fs::relative(found, path).string();
    }
};

} // namespace

TEST_CASE("debug files: the half that .gnu_debuglink names, beside the file or in .debug, if its build-id is right") {
    const Folder folder;
    const std::string file = folder.put("vmlinux", right, false, "vmlinux.dbg");
    CHECK(folder.half_of(file) == "none");
    folder.put("vmlinux.dbg", wrong, true);
    CHECK(folder.half_of(file) == "none");
    folder.put(".debug/vmlinux.dbg", right, true);
    CHECK(folder.half_of(file) == ".debug/vmlinux.dbg");
    folder.put("vmlinux.dbg", right, false); // without debug information it is none
    CHECK(folder.half_of(file) == ".debug/vmlinux.dbg");
    folder.put("vmlinux.dbg", right, true);
    CHECK(folder.half_of(file) == "vmlinux.dbg");
}

TEST_CASE("debug files: by build-id in the user's folders, before any name; then FILE.debug") {
    const Folder folder;
    const std::string file = folder.put("vmlinux", right, false);
    folder.put("vmlinux.debug", right, true);
    CHECK(folder.half_of(file) == "vmlinux.debug");
    folder.put("mine/.build-id/12/345678.debug", right, true);
    CHECK(folder.half_of(file, {folder.path / "mine"}) == "mine/.build-id/12/345678.debug");
}

TEST_CASE("debug files: a message can name every place that was searched") {
    const Folder folder;
    const std::string file = folder.put("vmlinux", right, false, "other");
    const auto searched = find_debug_half(*ElfFile::open(file), {"/mine"}).searched;
    const auto names = [&](std::string_view place) { return std::find(searched.begin(), searched.end(), place) != searched.end(); };
    CHECK(names("/mine/.build-id/12/345678.debug"));
    CHECK(names("/usr/lib/debug/.build-id/12/345678.debug"));
    CHECK(names("/mine/other"));
    CHECK(names(folder.path.string() + "/.debug/other"));
    CHECK(names(file + ".debug"));
}

TEST_CASE("debug files: a module's file by its name in the kernel and its build-id, best with debug information") {
    const Folder folder;
    folder.put("a/snd-hda-intel.ko", wrong, true, {}, ET_REL);
    CHECK(folder.module("snd_hda_intel", right) == "none");
    folder.put("b/snd-hda-intel.ko", right, false, {}, ET_REL);
    CHECK(folder.module("snd_hda_intel", right) == "b/snd-hda-intel.ko");
    folder.put("c/deep/er/snd-hda-intel.ko.debug", right, true, {}, ET_REL);
    CHECK(folder.module("snd_hda_intel", right) == "c/deep/er/snd-hda-intel.ko.debug");
    CHECK(folder.module("snd_hda", right) == "none");
    std::ofstream(folder.path / "b/damaged.ko") << "text";
    CHECK(folder.module("damaged", right) == "none");
    folder.put("b/linked.ko", right, true); // no module: it is linked
    CHECK(folder.module("linked", right) == "none");
}
