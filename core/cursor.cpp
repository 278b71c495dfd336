// SPDX-License-Identifier: GPL-3.0-or-later
// The bounds checks of Cursor.
#include "core/cursor.hpp"
#include <fmt/format.h>

namespace kcrash {

std::string Cursor::where() const { return fmt::format("{}+0x{:x}", name_, base_ + at_); }

void Cursor::need(uint64_t n) const {
    if (n > left()) throw FileError(fmt::format("{}: needs {} bytes, {} left", where(), n, left()));
}

void Cursor::seek(uint64_t offset) {
    if (offset > bytes_.size())
        throw FileError(fmt::format("{}: offset 0x{:x} is beyond the end, 0x{:x}", name_, base_ + offset, base_ + bytes_.size()));
    at_ = offset;
}

std::span<const std::byte> Cursor::bytes(uint64_t n) {
    need(n);
    auto part = bytes_.subspan(at_, n);
    at_ += n;
    return part;
}

std::string_view Cursor::string() {
    const char* start = reinterpret_cast<const char*>(bytes_.data()) + at_;
    const void* end = left() ? std::memchr(start, 0, left()) : nullptr;
    if (!end) throw FileError(fmt::format("{}: a string has no end", where()));
    const auto length = static_cast<size_t>(static_cast<const char*>(end) - start);
    at_ += length + 1;
    return {start, length};
}

uint64_t Cursor::uleb128() {
    uint64_t value = 0;
    for (unsigned shift = 0; shift < 70; shift += 7) {
        const uint8_t byte = u8();
        if (shift < 64) value |= static_cast<uint64_t>(byte & 0x7f) << shift;
        if (!(byte & 0x80)) return value;
    }
    throw FileError(fmt::format("{}: a LEB128 number has no end", where()));
}

int64_t Cursor::sleb128() {
    uint64_t value = 0;
    for (unsigned shift = 0; shift < 70; shift += 7) {
        const uint8_t byte = u8();
        if (shift < 64) value |= static_cast<uint64_t>(byte & 0x7f) << shift;
        if (!(byte & 0x80)) {
            if (shift + 7 < 64 && (byte & 0x40)) value |= ~uint64_t{0} << (shift + 7);
            return static_cast<int64_t>(value);
        }
    }
    throw FileError(fmt::format("{}: a LEB128 number has no end", where()));
}

} // namespace kcrash
