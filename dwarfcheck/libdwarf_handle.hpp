// SPDX-License-Identifier: GPL-3.0-or-later
// libdwarf's header under the names that it has in this program, and owners for what it hands out.
#pragma once
#include "core/error.hpp"
#include "libdwarf_names.h" // made by rename_libdwarf
#include <libdwarf/dwarf.h>
#include <libdwarf/libdwarf.h>
#include <string>
#include <utility>

namespace kcrash::dwarfcheck {

// The message of an error, which is given back.
inline std::string take_message(Dwarf_Debug debug, Dwarf_Error error) {
    const std::string message = error ? dwarf_errmsg(error) : "unknown error";
    if (error) dwarf_dealloc_error(debug, error);
    return message;
}

// DW_DLV_OK is true, DW_DLV_NO_ENTRY false, DW_DLV_ERROR a FileError with libdwarf's message.
template <typename Function, typename... Arguments> bool ask(Dwarf_Debug debug, Function function, Arguments... arguments) {
    Dwarf_Error error = nullptr;
    const int result = function(arguments..., &error);
    if (result == DW_DLV_ERROR) throw FileError(take_message(debug, error));
    return result == DW_DLV_OK;
}

// Owns an entry.
class Die {
public:
    explicit Die(Dwarf_Die die = nullptr) : die_(die) {}
    Die(Die&& other) noexcept : die_(std::exchange(other.die_, nullptr)) {}
    Die& operator=(Die&& other) noexcept {
        std::swap(die_, other.die_);
        return *this;
    }
    ~Die() {
        if (die_) dwarf_dealloc_die(die_);
    }
    Dwarf_Die get() const { return die_; }
    explicit operator bool() const { return die_ != nullptr; }

private:
    Dwarf_Die die_;
};

inline Die first_child(Dwarf_Debug debug, const Die& parent) {
    Dwarf_Die child = nullptr;
    return Die(ask(debug, dwarf_child, parent.get(), &child) ? child : nullptr);
}

inline Die sibling(Dwarf_Debug debug, const Die& die) {
    Dwarf_Die next = nullptr;
    return Die(ask(debug, dwarf_siblingof_b, debug, die.get(), Dwarf_Bool{1}, &next) ? next : nullptr);
}

inline Die entry_at(Dwarf_Debug debug, uint64_t offset) {
    Dwarf_Die die = nullptr;
    return Die(ask(debug, dwarf_offdie_b, debug, Dwarf_Off{offset}, Dwarf_Bool{1}, &die) ? die : nullptr);
}

inline Dwarf_Half tag_of(Dwarf_Debug debug, const Die& die) {
    Dwarf_Half tag = 0;
    ask(debug, dwarf_tag, die.get(), &tag);
    return tag;
}

inline uint64_t offset_of(Dwarf_Debug debug, const Die& die) {
    Dwarf_Off offset = 0;
    ask(debug, dwarf_dieoffset, die.get(), &offset);
    return offset;
}

} // namespace kcrash::dwarfcheck
