// SPDX-License-Identifier: GPL-3.0-or-later
// Folders with files of several build-ids, and which of them is taken.
#include "symbols/debug_files.hpp"
#include "tests/fixtures/object_writer.hpp"
#include <algorithm>
#include <cstdlib>
#include <doctest/doctest.h>
#include <filesystem>
#include <fstream>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

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
        const std::string found = ModuleFinder({"6.1.0-fixture", {path / "mod"}, {path}}).find(wanted).path;
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
    folder.put("mod/a/snd-hda-intel.ko", wrong, true, {}, ET_REL);
    CHECK(folder.module("snd_hda_intel", right) == "none");
    folder.put("below/snd-hda-intel.ko", right, true, {}, ET_REL); // not beside the dump
    CHECK(folder.module("snd_hda_intel", right) == "none");
    folder.put("mod/b/snd-hda-intel.ko", right, false, {}, ET_REL);
    CHECK(folder.module("snd_hda_intel", right) == "mod/b/snd-hda-intel.ko");
    folder.put("mod/c/deep/er/snd-hda-intel.ko.debug", right, true, {}, ET_REL);
    CHECK(folder.module("snd_hda_intel", right) == "mod/c/deep/er/snd-hda-intel.ko.debug");
    folder.put("snd-hda-intel.ko.xz", right, true, {}, ET_REL);
    CHECK(folder.module("snd_hda_intel", right) == "snd-hda-intel.ko.xz");
    folder.put("mod/.build-id/12/345678.debug", right, true, {}, ET_REL);
    CHECK(folder.module("snd_hda_intel", right) == "mod/.build-id/12/345678.debug");
    CHECK(folder.module("snd_hda", wrong) == "none");
    std::ofstream(folder.path / "mod/b/damaged.ko") << "text";
    CHECK(folder.module("damaged", right.substr(0, 3)) == "none");
    folder.put("mod/b/linked.ko", right, true); // no module: it is linked
    CHECK(folder.module("linked", "\x56\x78\x12\x34") == "none");
}

TEST_CASE("debug files: every place of a module is named, and a build-id of the dump that is none becomes part of no path") {
    LoadedModule wanted;
    wanted.name = "nfs";
    wanted.build_id = {std::byte{0x12}, std::byte{0x34}, std::byte{0x56}, std::byte{0x78}};
    unsetenv("DEBUGINFOD_URLS");
    const ProgressMaker quiet;
    ModuleFinder finder({"6.1.0-fixture", {"/mine"}, {"/dumps"}});
    const std::string text = search_advice(finder.find(wanted, &quiet), "6.1.0-44-amd64");
    CHECK(text == "searched:\n  /dumps/.build-id/12/345678.debug\n  /mine/.build-id/12/345678.debug\n"
                  "  /usr/lib/debug/lib/modules/6.1.0-fixture/.build-id/12/345678.debug\n  /lib/modules/6.1.0-fixture/.build-id/12/345678.debug\n"
                  "  /usr/lib/debug/.build-id/12/345678.debug\n  /dumps/nfs.ko*\n  /mine/**/nfs.ko*\n"
                  "  /usr/lib/debug/lib/modules/6.1.0-fixture/**/nfs.ko*\n  /lib/modules/6.1.0-fixture/**/nfs.ko*\n"
                  "  debuginfod (DEBUGINFOD_URLS is not set)\non Debian: apt install linux-image-6.1.0-44-amd64-dbg");
    wanted.build_id.clear();
    ModuleFinder alone({.release = "", .directories = {"/mine"}, .beside = {}, .standard = false});
    CHECK(alone.find(wanted, &quiet).searched == std::vector<std::string>{"/mine/**/nfs.ko*"});
}

// A server that takes the question and says nothing.
TEST_CASE("debuginfod: gives up when the time is over, and at Ctrl-C") {
    const Folder folder;
    const int listener = ::socket(AF_INET, SOCK_STREAM, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    REQUIRE(::bind(listener, reinterpret_cast<sockaddr*>(&address), size) == 0);
    REQUIRE(::listen(listener, 5) == 0);
    REQUIRE(::getsockname(listener, reinterpret_cast<sockaddr*>(&address), &size) == 0);
    const std::string server = "http://127.0.0.1:" + std::to_string(ntohs(address.sin_port));
    setenv("DEBUGINFOD_URLS", server.c_str(), 1);
    setenv("DEBUGINFOD_CACHE_PATH", folder.path.c_str(), 1);
    uint64_t told = 0;
    const ProgressMaker counting = [&](std::string_view) -> ProgressStep { return [&](uint64_t, uint64_t) { ++told; }; };
    const char* id = "00112233445566778899aabbccddeeff00112233";
    const Fetched fetched = fetch_debug_file(id, 1, counting);
    CHECK(fetched.path.empty());
    CHECK(fetched.late);
    CHECK(fetched.why == server + ": gave up after 1 s");
    CHECK(told > 0);
    interrupt_requested = 1;
    CHECK_THROWS_AS(fetch_debug_file(id, 1000, counting), Interrupted);
    interrupt_requested = 0;
    unsetenv("DEBUGINFOD_URLS");
    unsetenv("DEBUGINFOD_CACHE_PATH");
    ::close(listener);
}
