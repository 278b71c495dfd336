// SPDX-License-Identifier: GPL-3.0-or-later
// The index cache: a kernel's sorted names in a file of the user's cache folder, mapped at the next start.
//
//     u64 magic | u64 key[3] | u64 hash of what follows | block of symbol_image.hpp
//
// The key is computed from headers alone (build-id, size, section table), without reading the big file. The file is written
// under another name and renamed, so that a reader never sees half of one. One that does not check out is as good as none.
#include "symbols/symbol_cache.hpp"
#include "symbols/debug_files.hpp"
#include "symbols/elf_symbols.hpp"
#include "symbols/hash.hpp"
#include "symbols/sources.hpp"
#include <array>
#include <cstdlib>
#include <cstring>
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

namespace kcrash {
namespace {

struct CacheHeader {
    uint64_t magic;
    std::array<uint64_t, 3> key;
    uint64_t hash;
    static constexpr uint64_t expected = 0x6b637261'73686331;
};

using Key = std::array<uint64_t, 3>;

// Two kernels never share all three. Without a build-id there is no key: a rebuilt kernel may look the same.
std::optional<Key> key_of(const ElfFile& file) {
    const auto build_id = file.build_id();
    if (build_id.empty()) return std::nullopt;
    std::vector<uint64_t> table;
    uint64_t size = 0;
    for (const ElfSection& section : file.sections()) {
        for (const uint64_t value : {hash_name(section.name), section.address, section.offset, section.size, section.flags}) table.push_back(value);
        if (section.offset + section.size > size) size = section.offset + section.size;
    }
    return Key{hash_bytes(build_id), size, hash_bytes(std::as_bytes(std::span(table)))};
}

// A cache file, mapped. It is our own and only ever replaced as a whole.
class MappedCache final : public ImageBytes {
public:
    MappedCache(void* base, size_t size) : base_(base), size_(size) {}
    MappedCache(const MappedCache&) = delete;
    MappedCache& operator=(const MappedCache&) = delete;
    ~MappedCache() override { ::munmap(base_, size_); }
    std::span<const std::byte> whole() const { return {static_cast<const std::byte*>(base_), size_}; }
    std::span<const std::byte> bytes() const override { return whole().subspan(sizeof(CacheHeader)); }

private:
    void* base_;
    size_t size_;
};

std::shared_ptr<const MappedCache> map_cache(const std::string& path, const Key& key) {
    const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0) return nullptr;
    struct stat st {};
    void* base = MAP_FAILED;
    // Somebody else's file could be cut under us while it is mapped.
    if (::fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && st.st_uid == ::geteuid() && st.st_size > static_cast<off_t>(sizeof(CacheHeader)))
        base = ::mmap(nullptr, static_cast<size_t>(st.st_size), PROT_READ, MAP_PRIVATE | MAP_POPULATE, fd, 0);
    ::close(fd);
    if (base == MAP_FAILED) return nullptr;
    auto mapped = std::make_shared<MappedCache>(base, static_cast<size_t>(st.st_size));
    CacheHeader header{};
    std::memcpy(&header, base, sizeof header);
    if (header.magic != CacheHeader::expected || header.key != key || header.hash != hash_bytes(mapped->bytes())) return nullptr;
    return mapped;
}

bool write_all(int fd, const void* data, size_t size) {
    const char* at = static_cast<const char*>(data);
    while (size) {
        const ssize_t n = ::write(fd, at, size);
        if (n <= 0) return false;
        at += n;
        size -= static_cast<size_t>(n);
    }
    return true;
}

} // namespace

bool write_whole_file(const std::string& path, std::span<const std::byte> first, std::span<const std::byte> second) {
    std::string temporary = path + ".XXXXXX";
    const int fd = ::mkostemp(temporary.data(), O_CLOEXEC);
    if (fd < 0) return false;
    const bool written = write_all(fd, first.data(), first.size()) && write_all(fd, second.data(), second.size());
    ::close(fd);
    if (written && ::rename(temporary.c_str(), path.c_str()) == 0) return true;
    ::unlink(temporary.c_str());
    return false;
}

std::shared_ptr<const ImageBytes> cached_block(const ElfFile& file, std::string_view kind, bool use_cache,
                                               const std::function<std::vector<std::byte>()>& build) {
    const auto key = use_cache ? key_of(file) : std::nullopt;
    const std::string folder = key ? cache_directory() : std::string();
    if (folder.empty()) return own_bytes(build());
    const std::string path = fmt::format("{}/{}-{:016x}{:016x}", folder, kind, (*key)[0], (*key)[2]);
    if (auto mapped = map_cache(path, *key))
        if (is_symbol_image(mapped->bytes())) return mapped;
    auto block = build();
    const CacheHeader header{CacheHeader::expected, *key, hash_bytes(block)};
    write_whole_file(path, std::as_bytes(std::span(&header, 1)), block); // where it cannot be written, the next start builds it again
    return own_bytes(std::move(block));
}

std::shared_ptr<const SymbolTable> cached_symbols(const ElfFile& file, Slide slide, bool use_cache) {
    const auto block = cached_block(file, "symbols", use_cache, [&] { return build_symbol_image(file); });
    return open_symbol_image(block, slide, file_name(file.path()));
}

} // namespace kcrash
