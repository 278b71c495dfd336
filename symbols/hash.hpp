// SPDX-License-Identifier: GPL-3.0-or-later
// A fast hash of bytes, for name tables and to notice damage: not for secrets.
#pragma once
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string_view>

namespace kcrash {

namespace hashing {
constexpr uint64_t odd1 = 0x9e3779b97f4a7c15u, odd2 = 0xd1b54a32d192ed03u;
inline uint64_t word(const std::byte* at) {
    uint64_t value;
    std::memcpy(&value, at, 8);
    return value;
}
inline uint64_t mix(uint64_t a, uint64_t b) {
    const unsigned __int128 product = static_cast<unsigned __int128>(a) * b;
    return static_cast<uint64_t>(product) ^ static_cast<uint64_t>(product >> 64);
}
} // namespace hashing

// Four lanes of 64-bit multiplications: several bytes per cycle. The result depends on the host's byte order.
inline uint64_t hash_bytes(std::span<const std::byte> bytes) {
    using namespace hashing;
    const std::byte* at = bytes.data();
    size_t left = bytes.size();
    uint64_t lanes[4] = {odd1, odd2, ~odd1, ~odd2};
    for (; left >= 64; at += 64, left -= 64)
        for (unsigned i = 0; i < 4; ++i) lanes[i] = mix(lanes[i] ^ word(at + 16 * i), word(at + 16 * i + 8) ^ odd1);
    uint64_t value = mix(lanes[0] ^ odd2, lanes[1]) ^ mix(lanes[2] ^ odd1, lanes[3]) ^ bytes.size();
    for (; left >= 8; at += 8, left -= 8) value = mix(value ^ word(at), odd2);
    uint64_t tail = 0;
    if (left) std::memcpy(&tail, at, left);
    return mix(value ^ tail, odd1 ^ left);
}

inline uint64_t hash_name(std::string_view name) {
    return hash_bytes({reinterpret_cast<const std::byte*>(name.data()), name.size()});
}

} // namespace kcrash
