// SPDX-License-Identifier: GPL-3.0-or-later
// What a module shows under /sys/module/NAME/sections and notes: where its sections were loaded. kernel/module/sysfs.c.
#pragma once
#include "kernel/target.hpp"
#include <optional>
#include <string>
#include <vector>

namespace kcrash {

struct ModuleAttribute {
    std::string name;     // ".text"
    uint64_t address = 0; // of the section
    uint64_t size = 0;    // bytes; 0: not kept
};

// The shape of struct module_sect_attrs or module_notes_attrs in this kernel, resolved once for all modules.
//
//     until 6.13   count | attrs[count]: { attribute with a name; address }
//     since 6.14   group, whose list of pointers to attributes ends with a null | attrs[]: bin_attribute, `private` is the address
class ModuleAttributes {
public:
    ModuleAttributes(const Target& target, std::string_view type, std::string_view count_member);
    // MemoryError, CorruptError; LookupError when this kernel has no such struct.
    std::vector<ModuleAttribute> read(uint64_t attributes) const;

private:
    uint64_t count(uint64_t attributes) const;
    const Target& target_;
    std::string type_;
    std::optional<Member> count_, pointers_, name_, address_, size_;
    uint64_t array_ = 0, stride_ = 0;
};

} // namespace kcrash
