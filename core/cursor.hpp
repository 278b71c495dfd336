// SPDX-License-Identifier: GPL-3.0-or-later
// A bounds-checked reader over bytes of a file, which knows its byte order and where it stands.
#pragma once
#include "core/bytes.hpp"
#include "core/error.hpp"
#include <span>
#include <string>
#include <string_view>

namespace kcrash {

// Fails with FileError "NAME+0x1f0: needs 2 bytes, 1 left". Does not own the bytes.
class Cursor {
public:
    Cursor(std::span<const std::byte> bytes, ByteOrder order, std::string_view name, uint64_t base = 0)
        : bytes_(bytes), order_(order), name_(name), base_(base) {}

    uint8_t u8() { return take<uint8_t>(); }
    uint16_t u16() { return take<uint16_t>(); }
    uint32_t u32() { return take<uint32_t>(); }
    uint64_t u64() { return take<uint64_t>(); }
    int16_t s16() { return take<int16_t>(); }
    int32_t s32() { return take<int32_t>(); }
    int64_t s64() { return take<int64_t>(); }
    uint64_t word(unsigned size) { return size == 8 ? u64() : u32(); }
    uint64_t uleb128();
    int64_t sleb128();
    std::string_view string();                    // up to the NUL, which is consumed
    std::span<const std::byte> bytes(uint64_t n); // the next n bytes
    void skip(uint64_t n) { bytes(n); }
    void seek(uint64_t offset);                   // from the start of the bytes
    uint64_t offset() const { return at_; }
    uint64_t left() const { return bytes_.size() - at_; }
    bool at_end() const { return at_ == bytes_.size(); }
    ByteOrder order() const { return order_; }
    std::string where() const; // "NAME+0x1f0"

private:
    template <typename T> T take() {
        need(sizeof(T));
        T value = load<T>(bytes_.data() + at_, order_);
        at_ += sizeof(T);
        return value;
    }
    void need(uint64_t n) const;

    std::span<const std::byte> bytes_;
    uint64_t at_ = 0;
    ByteOrder order_;
    std::string name_;
    uint64_t base_;
};

} // namespace kcrash
