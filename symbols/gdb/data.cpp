// SPDX-License-Identifier: GPL-3.0-or-later
// GDB's Python modules travel inside of the program (third_party/gdb/pack) and are unpacked where Python can read them: once into the
// cache folder, named by what is in them, written beside and then moved into place.
#include "symbols/gdb/data.hpp"
#include <charconv>
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <fmt/format.h>
#include <fstream>
#include <string_view>
#include <unistd.h>

extern "C" const char kcrash_gdb_data[], kcrash_gdb_data_end[];

namespace kcrash {
namespace {

namespace fs = std::filesystem;

uint64_t fingerprint(std::string_view bytes) { // FNV-1a
    uint64_t hash = 0xcbf29ce484222325;
    for (const char c : bytes) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3;
    return hash;
}

bool write_file(const fs::path& path, std::string_view bytes) {
    std::error_code ignored;
    fs::create_directories(path.parent_path(), ignored);
    std::ofstream out(path, std::ios::binary);
    out.write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
    return static_cast<bool>(out.flush());
}

// "PATH SIZE\n" and the bytes, file after file.
bool unpack(std::string_view packed, const fs::path& folder) {
    while (!packed.empty()) {
        const size_t blank = packed.find(' '), newline = packed.find('\n');
        size_t size = 0;
        std::from_chars(packed.data() + blank + 1, packed.data() + newline, size);
        if (!write_file(folder / packed.substr(0, blank), packed.substr(newline + 1, size))) return false;
        packed.remove_prefix(newline + 1 + size);
    }
    return true;
}

} // namespace

std::string gdb_data_folder(const std::string& cache) {
    const std::string_view packed(kcrash_gdb_data, static_cast<size_t>(kcrash_gdb_data_end - kcrash_gdb_data));
    std::error_code error;
    std::string temporary = "/tmp/kcrash-gdb-XXXXXX"; // one of our own: nobody else may put Python there
    if (cache.empty() && !mkdtemp(temporary.data())) return {};
    const fs::path folder = fs::path(cache.empty() ? temporary : cache) / fmt::format("gdb-data-{:016x}", fingerprint(packed));
    if (fs::exists(folder / "python", error)) return folder.string();
    const fs::path beside = folder.string() + fmt::format(".{}", getpid());
    if (!unpack(packed, beside)) {
        fs::remove_all(beside, error);
        return {};
    }
    fs::rename(beside, folder, error);
    if (error) fs::remove_all(beside, error); // another process was quicker
    return fs::exists(folder / "python", error) ? folder.string() : std::string();
}

} // namespace kcrash
