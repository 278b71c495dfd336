// SPDX-License-Identifier: GPL-3.0-or-later
// A symbol table as one block of bytes: the same in memory and in the index cache.
//
//     header | addresses u64[n] | sizes u32[n] | name offsets u32[n] | types u8[n] | buckets u32[2^k + 1] | members u32[n] | names
//
// Symbols stand in ascending order of address. A bucket holds the indices of the names that hash to it, ascending:
// buckets[h] .. buckets[h + 1] in `members`. Names end with a NUL. Integers are the host's: the header tells a foreign one.
#pragma once
#include "symbols/symbols.hpp"
#include <memory>
#include <span>
#include <string>
#include <vector>

namespace kcrash {

// Gathers symbols in any order, gives the block.
class SymbolImageBuilder {
public:
    void reserve(size_t symbols, size_t name_bytes);
    void add(uint64_t address, uint64_t size, std::string_view name, char type);
    size_t count() const { return symbols_.size(); }
    std::vector<std::byte> build();

private:
    struct Entry { uint64_t address; uint32_t size, name; char type; };
    void sort();
    std::vector<Entry> symbols_;
    std::string names_;
};

// Bytes that stay: a vector, a mapped file.
struct ImageBytes {
    virtual ~ImageBytes() = default;
    virtual std::span<const std::byte> bytes() const = 0;
};
std::shared_ptr<const ImageBytes> own_bytes(std::vector<std::byte> bytes);

// Is it a block that build() of this version made? If not it is damaged or foreign.
bool is_symbol_image(std::span<const std::byte> bytes);

// A table over a block from build(). Addresses are those after `slide`. Null when the block is not one
// that is_symbol_image() knows. What the checks do not see cannot lead outside of it.
std::shared_ptr<const SymbolTable> open_symbol_image(std::shared_ptr<const ImageBytes> image, Slide slide, std::string source);

} // namespace kcrash
