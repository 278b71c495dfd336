// SPDX-License-Identifier: GPL-3.0-or-later
// A CPU's registers, each known or not recovered: the two are never confused.
#pragma once
#include <array>
#include <bitset>
#include <cstdint>
#include <optional>

namespace kcrash {

// Numbers are the architecture's DWARF register numbers; an arch adds its own ids for what DWARF leaves out.
class Registers {
public:
    static constexpr unsigned max = 96;
    std::optional<uint64_t> get(unsigned number) const {
        if (number >= max || !known_[number]) return std::nullopt;
        return value_[number];
    }
    void set(unsigned number, uint64_t value) {
        if (number >= max) return;
        value_[number] = value;
        known_[number] = true;
    }
    void forget(unsigned number) {
        if (number < max) known_[number] = false;
    }
    void copy(const Registers& from, unsigned number) {
        if (auto v = from.get(number)) set(number, *v);
        else forget(number);
    }

private:
    std::array<uint64_t, max> value_{};
    std::bitset<max> known_;
};

} // namespace kcrash
