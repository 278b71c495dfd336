// SPDX-License-Identifier: GPL-3.0-or-later
// Integers in the byte order of the dump, which is a run-time property and never the host's.
#pragma once
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>

namespace kcrash {

enum class ByteOrder : uint8_t { little, big };

template <typename T> constexpr T swap_bytes(T value) {
    if constexpr (sizeof(T) == 1) return value;
    else if constexpr (sizeof(T) == 2) return static_cast<T>(__builtin_bswap16(static_cast<uint16_t>(value)));
    else if constexpr (sizeof(T) == 4) return static_cast<T>(__builtin_bswap32(static_cast<uint32_t>(value)));
    else return static_cast<T>(__builtin_bswap64(static_cast<uint64_t>(value)));
}

// Loads a T from the first sizeof(T) bytes at `from`. The caller has checked that they are there.
template <typename T> T load(const std::byte* from, ByteOrder order) {
    T value;
    std::memcpy(&value, from, sizeof(T));
    const bool host_is_little = std::endian::native == std::endian::little;
    return (order == ByteOrder::little) == host_is_little ? value : swap_bytes(value);
}

// Loads an unsigned integer of 1, 2, 4 or 8 bytes; any other size gives the bytes' value up to 8 bytes.
inline uint64_t load_unsigned(std::span<const std::byte> bytes, ByteOrder order) {
    uint64_t value = 0;
    const size_t n = bytes.size() < 8 ? bytes.size() : 8;
    for (size_t i = 0; i < n; ++i) {
        const size_t at = order == ByteOrder::little ? n - 1 - i : i;
        value = value << 8 | static_cast<uint64_t>(bytes[at]);
    }
    return value;
}

// Extends the sign bit of a value that is `bits` wide (1..64).
constexpr int64_t sign_extend(uint64_t value, unsigned bits) {
    if (bits == 0 || bits >= 64) return static_cast<int64_t>(value);
    const uint64_t sign = uint64_t{1} << (bits - 1);
    value &= (sign << 1) - 1;
    return static_cast<int64_t>((value ^ sign) - sign);
}

} // namespace kcrash
