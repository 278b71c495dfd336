// SPDX-License-Identifier: GPL-3.0-or-later
#include "symbols/debug_files.hpp"
#include "symbols/elf_file.hpp"
#include "symbols/sources.hpp"
#include "tests/fixtures/object_writer.hpp"
#include "tests/fixtures/open_fixture.hpp"
#include <cstdlib>
#include <doctest/doctest.h>
#include <filesystem>
#include <fstream>
#include <lzma.h>
#include <zlib.h>
#include <zstd.h>

using namespace kcrash;
using namespace kcrash::fixtures;

namespace {

constexpr uint64_t text = 0xffffffff81000000;

ObjectWriter small_kernel() {
    ObjectWriter elf;
    elf.add(".text", SHF_ALLOC | SHF_EXECINSTR, text, std::vector<std::byte>(0x100));
    elf.add(".data", SHF_ALLOC | SHF_WRITE, 0xffffffff82000000, std::vector<std::byte>(0x40));
    elf.add(".data..percpu", SHF_ALLOC | SHF_WRITE, 0, std::vector<std::byte>(0x20));
    elf.add_build_id("0123456789abcdefghij");
    elf.symbols = {{"_stext", text, 0, ".text", STT_NOTYPE},
                   {"helper", text + 0x20, 0x10, ".text", STT_FUNC, STB_LOCAL},
                   {"schedule", text, 0x20, ".text"},
                   {"weak_one", text + 0x40, 4, ".text", STT_FUNC, STB_WEAK},
                   {"jiffies", 0xffffffff82000008, 8, ".data", STT_OBJECT},
                   {"runqueues", 0x10, 8, ".data..percpu", STT_OBJECT},
                   {"phys_startup_64", 0x1000000, 0, "", STT_NOTYPE},
                   {".LC0", text + 0x50, 0, ".text", STT_NOTYPE, STB_LOCAL}};
    return elf;
}

std::vector<std::byte> pack_gzip(std::span<const std::byte> bytes) {
    z_stream stream{};
    deflateInit2(&stream, 6, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY);
    std::vector<std::byte> out(bytes.size() + 1000);
    stream.next_in = reinterpret_cast<Bytef*>(const_cast<std::byte*>(bytes.data()));
    stream.avail_in = static_cast<uInt>(bytes.size());
    stream.next_out = reinterpret_cast<Bytef*>(out.data());
    stream.avail_out = static_cast<uInt>(out.size());
    deflate(&stream, Z_FINISH);
    out.resize(stream.total_out);
    deflateEnd(&stream);
    return out;
}

std::vector<std::byte> pack_zstd(std::span<const std::byte> bytes) {
    std::vector<std::byte> out(ZSTD_compressBound(bytes.size()));
    out.resize(ZSTD_compress(out.data(), out.size(), bytes.data(), bytes.size(), 1));
    return out;
}

std::vector<std::byte> pack_xz(std::span<const std::byte> bytes) {
    std::vector<std::byte> out(lzma_stream_buffer_bound(bytes.size()));
    size_t n = 0;
    lzma_easy_buffer_encode(1, LZMA_CHECK_CRC64, nullptr, reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size(), reinterpret_cast<uint8_t*>(out.data()), &n,
                            out.size());
    out.resize(n);
    return out;
}

// A cache folder of the test's own.
struct OwnCache {
    OwnCache() {
        char name[] = "/tmp/kcrash-test-XXXXXX";
        path = ::mkdtemp(name);
        ::setenv("KCRASH_CACHE_DIR", path.c_str(), 1);
    }
    ~OwnCache() {
        ::unsetenv("KCRASH_CACHE_DIR");
        std::filesystem::remove_all(path);
    }
    std::vector<std::filesystem::path> files() const {
        std::vector<std::filesystem::path> found;
        for (const auto& entry : std::filesystem::recursive_directory_iterator(path))
            if (entry.is_regular_file()) found.push_back(entry.path());
        return found;
    }
    std::string path;
};

std::string letters(const SymbolTable& table) {
    std::string all;
    for (size_t i = 0; i < table.size(); ++i) all += std::string(table.at(i).name) + ":" + table.at(i).type + " ";
    return all;
}

} // namespace

TEST_CASE("elf: sections, build-id and symbols with the letters of nm") {
    const TemporaryFile file(small_kernel().write());
    const auto elf = ElfFile::open(file.path());
    CHECK(hex(elf->build_id()) == "303132333435363738396162636465666768696a");
    CHECK_FALSE(elf->relocatable());
    CHECK_FALSE(elf->has_dwarf());
    REQUIRE(elf->section(".data"));
    CHECK(elf->data(*elf->section(".data")).size() == 0x40);
    CHECK(elf->section(".nothing") == nullptr);
    const auto symbols = read_symbols(*elf, 0);
    CHECK(letters(*symbols) == "runqueues:D phys_startup_64:A _stext:T schedule:T helper:t weak_one:W jiffies:D ");
}

TEST_CASE("elf: the slide moves the kernel's half and nothing else") {
    const TemporaryFile file(small_kernel().write());
    const auto symbols = read_symbols(*ElfFile::open(file.path()), 0x1000000);
    CHECK(symbols->at(symbols->find("schedule").front()).address == text + 0x1000000);
    CHECK(symbols->at(symbols->find("runqueues").front()).address == 0x10);
    CHECK(symbols->first_above(text + 0x1000000 - 1) == 2);
    CHECK(symbols->first_above(text + 0x1000000) == 4);
    CHECK(symbols->first_above(text) == 2); // where the kernel was linked nothing is
    CHECK(symbols->find("nothing").empty());
}

TEST_CASE("elf: a file of the other byte order") {
    ObjectWriter big = small_kernel();
    big.order = ByteOrder::big;
    big.sections.pop_back();
    big.add_build_id("0123");
    const TemporaryFile file(big.write());
    const auto elf = ElfFile::open(file.path());
    CHECK(elf->order() == ByteOrder::big);
}

TEST_CASE("elf: packed files are unpacked, once") {
    const OwnCache cache;
    const auto plain = small_kernel().write();
    for (const auto& packed : {pack_gzip(plain), pack_zstd(plain), pack_xz(plain)}) {
        const TemporaryFile file(packed);
        CHECK(looks_like_vmlinux(file.path()));
        const auto elf = ElfFile::open(file.path());
        CHECK(elf->path() == file.path());
        CHECK(elf->readable_path().starts_with(cache.path));
        CHECK(read_symbols(*elf, 0)->size() == 7);
        CHECK(ElfFile::open(file.path())->readable_path() == elf->readable_path());
    }
    CHECK(cache.files().size() == 3);
}

TEST_CASE("elf: without a cache folder packed files are unpacked into memory") {
    ::setenv("KCRASH_CACHE_DIR", "/proc/nowhere", 1);
    const TemporaryFile file(pack_gzip(small_kernel().write()));
    const auto elf = ElfFile::open(file.path());
    ::unsetenv("KCRASH_CACHE_DIR");
    CHECK(elf->readable_path().starts_with("/proc/self/fd/"));
    CHECK(read_symbols(*elf, 0)->size() == 7);
}

TEST_CASE("elf: two streams behind one another are one file") {
    const OwnCache cache;
    const auto plain = small_kernel().write();
    auto packed = pack_gzip(std::span<const std::byte>(plain).first(500));
    const auto second = pack_gzip(std::span<const std::byte>(plain).subspan(500));
    packed.insert(packed.end(), second.begin(), second.end());
    const TemporaryFile file(packed);
    CHECK(read_symbols(*ElfFile::open(file.path()), 0)->size() == 7);
}

TEST_CASE("elf: a packed file that is cut says so") {
    const OwnCache cache;
    for (auto packed : {pack_gzip(small_kernel().write()), pack_xz(small_kernel().write()), pack_zstd(small_kernel().write())}) {
        packed.resize(packed.size() / 2);
        const TemporaryFile file(packed);
        CHECK(error_of([&] { ElfFile::open(file.path()); }, file.path()) == "FILE: compressed data is damaged: it ends too early");
    }
    CHECK(cache.files().empty());
}

TEST_CASE("elf: what is not an ELF file says so") {
    const auto error = [](std::string_view content) {
        const TemporaryFile file(content);
        return error_of([&] { ElfFile::open(file.path()); }, file.path());
    };
    CHECK(error("") == "FILE: not an ELF file: too short");
    CHECK(error("#!/bin/sh\necho this is a script\n") == "FILE: not an ELF file");
    CHECK(error(std::string("\177ELF\3\1\1aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa")) == "FILE: neither a 32-bit nor a 64-bit ELF file");
    ObjectWriter core = small_kernel();
    core.type = ET_CORE;
    const TemporaryFile file(core.write());
    CHECK(error_of([&] { ElfFile::open(file.path()); }, file.path()) == "FILE: a core file, where a kernel or a module is needed");
    CHECK_FALSE(looks_like_vmlinux(file.path()));
    CHECK_FALSE(looks_like_vmlinux("/tmp"));
    CHECK_FALSE(looks_like_vmlinux("/nonexistent"));
}

TEST_CASE("elf: a file cut anywhere, or with any byte changed, is refused or read, and nothing worse") {
    const auto whole = small_kernel().write();
    for (size_t n = 0; n < whole.size(); n += 7) {
        const TemporaryFile file{std::span<const std::byte>(whole).first(n)};
        CHECK(error_of([&] { ElfFile::open(file.path()); }) != "no error");
    }
    for (size_t at = 0; at < whole.size(); at += 3)
        for (const unsigned value : {0u, 0x7fu, 0xffu}) {
            auto damaged = whole;
            damaged[at] = static_cast<std::byte>(value);
            const TemporaryFile file(damaged);
            error_of([&] {
                const auto elf = ElfFile::open(file.path());
                elf->build_id();
                elf->debug_link();
                for (const ElfSection& section : elf->sections()) elf->data(section);
                read_symbols(*elf, 0);
            });
        }
}

TEST_CASE("elf: the file name of a debug half never leads out of its folder") {
    for (const auto& [name, told] : {std::pair{"vmlinux.debug", true}, {"../../etc/passwd", false}, {"", false}}) {
        ObjectWriter elf = small_kernel();
        const std::string link = std::string(name) + std::string(8, '\0');
        const auto bytes = std::as_bytes(std::span(link));
        elf.add(".gnu_debuglink", 0, 0, {bytes.begin(), bytes.end()});
        const TemporaryFile file(elf.write());
        CHECK(ElfFile::open(file.path())->debug_link().has_value() == told);
    }
}

TEST_CASE("symbol cache: written once, and what is damaged or foreign is built anew") {
    const OwnCache cache;
    const TemporaryFile file(small_kernel().write());
    const auto elf = ElfFile::open(file.path());
    const auto good = [&] {
        const auto symbols = cached_symbols(*elf, 0x1000, true);
        return symbols->size() == 7 && symbols->at(symbols->find("schedule").front()).address == text + 0x1000 && symbols->source() == file.path().substr(file.path().rfind('/') + 1);
    };
    CHECK(good());
    REQUIRE(cache.files().size() == 1);
    const auto name = cache.files().front();
    const auto size = std::filesystem::file_size(name);
    CHECK(good());
    for (uint64_t at = 0; at < size; at += 5) {
        std::fstream damage(name, std::ios::in | std::ios::out | std::ios::binary);
        damage.seekp(static_cast<std::streamoff>(at));
        damage.put('\x55');
        damage.close();
        CHECK(good());
    }
    for (uint64_t n = 0; n < size; n += 11) {
        std::filesystem::resize_file(name, n);
        CHECK(good());
    }
    CHECK(std::filesystem::file_size(name) == size); // and it was written again
    CHECK(cache.files().size() == 1);
    CHECK(cached_symbols(*elf, 0x1000, false)->size() == 7);
}

TEST_CASE("symbol cache: another kernel of the same build-id has a cache of its own") {
    const OwnCache cache;
    ObjectWriter other = small_kernel();
    other.symbols.pop_back();
    other.symbols.push_back({"another", text + 0x60, 4, ".text"});
    const TemporaryFile first(small_kernel().write()), second(other.write());
    CHECK(cached_symbols(*ElfFile::open(first.path()), 0, true)->find("another").empty());
    CHECK(cached_symbols(*ElfFile::open(second.path()), 0, true)->find("another").size() == 1);
    CHECK(cached_symbols(*ElfFile::open(first.path()), 0, true)->find("another").empty());
}
