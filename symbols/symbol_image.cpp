// SPDX-License-Identifier: GPL-3.0-or-later
// Building and reading the block that holds a symbol table.
#include "symbols/symbol_image.hpp"
#include "symbols/hash.hpp"
#include <algorithm>
#include <array>
#include <bit>
#include <cstring>

namespace kcrash {
namespace {


struct Header {
    uint64_t magic;
    uint64_t count, bucket_bits, name_bytes;
    static constexpr uint64_t expected = 0x6b637261'73683031; // changes with the layout, and reads differently in the other byte order
};

size_t round_up(size_t n) { return (n + 7) & ~size_t{7}; }

// Where the parts of the block lie.
struct Layout {
    size_t addresses, sizes, name_offsets, types, buckets, members, names, end;
    explicit Layout(const Header& h) {
        const size_t n = h.count;
        addresses = sizeof(Header);
        sizes = addresses + 8 * n;
        name_offsets = round_up(sizes + 4 * n);
        types = round_up(name_offsets + 4 * n);
        buckets = round_up(types + n);
        members = round_up(buckets + 4 * ((size_t{1} << h.bucket_bits) + 1));
        names = round_up(members + 4 * n);
        end = round_up(names + h.name_bytes);
    }
};

class ImageTable final : public SymbolTable {
public:
    ImageTable(std::shared_ptr<const ImageBytes> image, const Header& header, Slide slide, std::string source)
        : image_(std::move(image)), header_(header), at_(header), slide_(slide), source_(std::move(source)) {
        const std::byte* base = image_->bytes().data();
        addresses_ = reinterpret_cast<const uint64_t*>(base + at_.addresses);
        sizes_ = reinterpret_cast<const uint32_t*>(base + at_.sizes);
        name_offsets_ = reinterpret_cast<const uint32_t*>(base + at_.name_offsets);
        types_ = reinterpret_cast<const char*>(base + at_.types);
        buckets_ = reinterpret_cast<const uint32_t*>(base + at_.buckets);
        members_ = reinterpret_cast<const uint32_t*>(base + at_.members);
        names_ = reinterpret_cast<const char*>(base + at_.names);
    }

    size_t size() const override { return header_.count; }

    Symbol at(size_t index) const override {
        const uint64_t address = addresses_[index];
        return {slide_.to_run_time(address), sizes_[index], name(index), types_[index]};
    }

    size_t first_above(uint64_t address) const override {
        // Linked and run-time addresses have the same order: only the kernel's half moves, and it stays above the rest.
        if (address >= slide_.from) {
            const bool before = slide_.by >> 63 ? false : address - slide_.from < slide_.by;          // below all that moved
            const bool beyond = slide_.by >> 63 && address > ~uint64_t{0} + slide_.by;                // above all that moved
            if (before && slide_.from == 0) return 0;
            address = before ? slide_.from - 1 : beyond ? ~uint64_t{0} : address - slide_.by;
        }
        return static_cast<size_t>(std::upper_bound(addresses_, addresses_ + header_.count, address) - addresses_);
    }

    std::vector<size_t> find(std::string_view name) const override {
        std::vector<size_t> found;
        const uint64_t bucket = hash_name(name) & ((uint64_t{1} << header_.bucket_bits) - 1);
        const uint64_t end = std::min<uint64_t>(buckets_[bucket + 1], header_.count);
        for (uint64_t i = buckets_[bucket]; i < end; ++i) {
            const uint32_t index = members_[i];
            if (index < header_.count && this->name(index) == name) found.push_back(index);
        }
        return found;
    }

    std::string_view source() const override { return source_; }

private:
    std::string_view name(size_t index) const {
        const uint32_t offset = name_offsets_[index];
        if (offset >= header_.name_bytes) return {};
        return {names_ + offset}; // the last byte of the names is a NUL: checked when opened
    }

    std::shared_ptr<const ImageBytes> image_;
    Header header_;
    Layout at_;
    Slide slide_;
    std::string source_;
    const uint64_t* addresses_;
    const uint32_t *sizes_, *name_offsets_, *buckets_, *members_;
    const char *types_, *names_;
};

class OwnedBytes final : public ImageBytes {
public:
    explicit OwnedBytes(std::vector<std::byte> bytes) : bytes_(std::move(bytes)) {}
    std::span<const std::byte> bytes() const override { return bytes_; }

private:
    std::vector<std::byte> bytes_;
};

} // namespace

std::shared_ptr<const ImageBytes> own_bytes(std::vector<std::byte> bytes) { return std::make_shared<OwnedBytes>(std::move(bytes)); }

void SymbolImageBuilder::reserve(size_t symbols, size_t name_bytes) {
    symbols_.reserve(symbols);
    names_.reserve(name_bytes);
}

void SymbolImageBuilder::add(uint64_t address, uint64_t size, std::string_view name, char type) {
    if (names_.size() + name.size() + 1 > UINT32_MAX) return; // no kernel has 4 GB of names; a hostile table may
    symbols_.push_back({address, static_cast<uint32_t>(std::min<uint64_t>(size, UINT32_MAX)), static_cast<uint32_t>(names_.size()), type});
    names_.append(name);
    names_.push_back('\0');
}

// A radix sort, stable as it must be: three times as fast here as a comparing one.
void SymbolImageBuilder::sort() {
    std::vector<Entry> other(symbols_.size());
    for (unsigned shift = 0; shift < 64; shift += 8) {
        std::array<size_t, 257> begin{};
        for (const Entry& entry : symbols_) ++begin[(entry.address >> shift & 0xff) + 1];
        if (std::find(begin.begin(), begin.end(), symbols_.size()) != begin.end()) continue; // all have the same byte here
        for (size_t i = 1; i < begin.size(); ++i) begin[i] += begin[i - 1];
        for (const Entry& entry : symbols_) other[begin[entry.address >> shift & 0xff]++] = entry;
        symbols_.swap(other);
    }
}

std::vector<std::byte> SymbolImageBuilder::build() {
    sort();
    if (names_.empty()) names_.push_back('\0');
    const size_t n = symbols_.size();
    const Header header{Header::expected, n, static_cast<uint64_t>(std::bit_width(n)), names_.size()};
    const Layout at(header);
    std::vector<std::byte> block(at.end);
    const auto part = [&]<typename T>(T*, size_t offset) { return reinterpret_cast<T*>(block.data() + offset); };
    std::memcpy(block.data(), &header, sizeof header);
    auto* addresses = part(static_cast<uint64_t*>(nullptr), at.addresses);
    auto* sizes = part(static_cast<uint32_t*>(nullptr), at.sizes);
    auto* name_offsets = part(static_cast<uint32_t*>(nullptr), at.name_offsets);
    auto* types = part(static_cast<char*>(nullptr), at.types);
    auto* buckets = part(static_cast<uint32_t*>(nullptr), at.buckets);
    auto* members = part(static_cast<uint32_t*>(nullptr), at.members);
    std::memcpy(block.data() + at.names, names_.data(), names_.size());
    const uint64_t mask = (uint64_t{1} << header.bucket_bits) - 1;
    std::vector<uint32_t> hashes(n);
    for (size_t i = 0; i < n; ++i) {
        const Entry& entry = symbols_[i];
        addresses[i] = entry.address;
        sizes[i] = entry.size;
        name_offsets[i] = entry.name;
        types[i] = entry.type;
        hashes[i] = static_cast<uint32_t>(hash_name(names_.c_str() + entry.name) & mask);
        ++buckets[hashes[i] + 1];
    }
    for (uint64_t b = 1; b <= mask + 1; ++b) buckets[b] += buckets[b - 1];
    std::vector<uint32_t> next(buckets, buckets + mask + 1);
    for (size_t i = 0; i < n; ++i) members[next[hashes[i]]++] = static_cast<uint32_t>(i);
    return block;
}

bool is_symbol_image(std::span<const std::byte> bytes) {
    Header header{};
    if (bytes.size() < sizeof header) return false;
    std::memcpy(&header, bytes.data(), sizeof header);
    if (header.magic != Header::expected || header.count > UINT32_MAX || header.bucket_bits > 32) return false;
    if (header.name_bytes == 0 || header.name_bytes > uint64_t{UINT32_MAX} + 1) return false;
    const Layout at(header);
    return at.end == bytes.size() && bytes[at.names + header.name_bytes - 1] == std::byte{0};
}

std::shared_ptr<const SymbolTable> open_symbol_image(std::shared_ptr<const ImageBytes> image, Slide slide, std::string source) {
    const auto bytes = image->bytes();
    if (!is_symbol_image(bytes)) return nullptr;
    Header header{};
    std::memcpy(&header, bytes.data(), sizeof header);
    return std::make_shared<ImageTable>(std::move(image), header, slide, std::move(source));
}

} // namespace kcrash
