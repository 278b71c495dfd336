// SPDX-License-Identifier: GPL-3.0-or-later
// A typed place in the target: task["mm"]["total_vm"].
#pragma once
#include "core/memory/address_space.hpp"
#include "symbols/type.hpp"
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace kcrash {

class Target;

// Either a place in memory (address in an address space) or a value of its own (bytes). Copies are cheap.
// Looks at the target, which must outlive it. Every reading form throws MemoryError or LookupError with the path that led there.
class Object {
public:
    Object() = default;
    Object(const Target& target, const Type* type, uint64_t address, const AddressSpace* space = nullptr); // null: the kernel's
    static Object of_value(const Target& target, const Type* type, std::vector<std::byte> bytes);
    static Object of_integer(const Target& target, const Type* type, uint64_t value);

    const Type* type() const { return type_; }
    bool has_address() const { return bytes_ == nullptr; }
    uint64_t address() const { return address_; } // meaningful when has_address()
    const AddressSpace& space() const;
    Object in_space(const AddressSpace* space) const;    // the same, but pointers lead into another space; null: the kernel's
    const Target& target() const { return *target_; }
    uint32_t bit_offset() const { return bit_offset_; } // of a bit-field, from address()
    uint32_t bit_size() const { return bit_size_; }     // 0: not a bit-field
    const std::string& path() const { return path_; } // for messages: "task_struct.mm"

    // A member by path ("se.avg.load_avg", "bits[0]"); through a pointer it dereferences first, as -> does.
    Object operator[](std::string_view member) const;   // LookupError if the type has none
    Object operator[](const char* member) const { return (*this)[std::string_view(member)]; }
    Object element(uint64_t index) const;                // of an array or behind a pointer; no bounds of the type apply to [0]
    bool has(std::string_view member) const;             // does the type have it?
    // The first of several names that the type has: newest first.
    Object any(std::initializer_list<std::string_view> members) const;
    Object dereference() const;                          // of a pointer
    Object cast(const Type* type) const;
    Object cast(std::string_view type) const;
    Object container(std::string_view type, std::string_view member) const; // container_of; from a place or a pointer value

    uint64_t u64() const;        // integer, enum, pointer, bool, bit-field; sign-extended to 64 bits if signed
    int64_t s64() const { return static_cast<int64_t>(u64()); }
    bool is_null() const { return u64() == 0; }
    std::optional<uint64_t> try_u64() const;             // nothing when unreadable
    std::string string(size_t max = 4096) const;         // char array, or char pointer: bytes up to the NUL, as they are
    std::vector<std::byte> bytes() const;                // all bytes of the type
    Fault try_bytes(std::span<std::byte> into) const;

private:
    const Target* target_ = nullptr;
    const Type* type_ = nullptr;
    const AddressSpace* space_ = nullptr;
    uint64_t address_ = 0;
    uint32_t bit_offset_ = 0, bit_size_ = 0; // bit-field inside [address, ...)
    std::shared_ptr<const std::vector<std::byte>> bytes_; // null: a place in memory
    std::string path_;
};

// `size` bits from bit `bit` of the bytes, counted as bit-fields are: from the lowest (little) or the highest (big) bit.
uint64_t load_bits(std::span<const std::byte> bytes, ByteOrder order, unsigned bit, unsigned size);

// A member looked up once, for hot loops: offset and size, no strings, no exceptions.
struct Member {
    uint64_t offset = 0;  // bytes
    uint32_t size = 0;    // bytes
    bool is_signed = false;
    uint32_t bit_offset = 0, bit_size = 0;
    // Reads it from the struct at `base`. Quiet.
    Fault load(const AddressSpace& space, uint64_t base, uint64_t& value) const;
    // From bytes of the whole struct that were read before; the caller gives at least offset + size bytes.
    uint64_t load(std::span<const std::byte> structure, ByteOrder order) const;
};

} // namespace kcrash
