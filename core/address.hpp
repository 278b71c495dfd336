// SPDX-License-Identifier: GPL-3.0-or-later
// Addresses as types, so that one kind is never passed for another.
#pragma once
#include <compare>
#include <cstdint>

namespace kcrash {

// An unsigned place of one kind. Arithmetic is modulo 2^64, as it is in the kernel; who adds a value
// from the dump checks the sum. Only what knows a mapping converts one kind into another.
template <typename Kind> struct Place {
    uint64_t value = 0;
    constexpr Place() = default;
    constexpr explicit Place(uint64_t v) : value(v) {}
    constexpr auto operator<=>(const Place&) const = default;
    constexpr Place operator+(uint64_t bytes) const { return Place{value + bytes}; }
    constexpr Place operator-(uint64_t bytes) const { return Place{value - bytes}; }
    constexpr uint64_t operator-(Place other) const { return value - other.value; }
    constexpr Place& operator+=(uint64_t bytes) { value += bytes; return *this; }
};

using PhysicalAddress = Place<struct PhysicalKind>; // bytes from physical 0 of the dumped machine
using VirtualAddress = Place<struct VirtualKind>;   // means something only in one AddressSpace: the kernel's or a process's
using FileOffset = Place<struct FileKind>;          // bytes from the start of one file
using PageFrame = Place<struct FrameKind>;          // physical address / page size of the dumped machine

} // namespace kcrash
