// SPDX-License-Identifier: GPL-3.0-or-later
// Where the message buffer and the members of its structs are: asked from the types, or from VMCOREINFO alone.
#pragma once
#include "core/error.hpp"
#include "kernel/printk.hpp"

namespace kcrash {

class PrintkFacts {
public:
    PrintkFacts(const AddressSpace& space, const VmcoreInfo& info, const Target* target, unsigned word)
        : space_(space), info_(info), target_(target), word_(word) {}

    const AddressSpace& space() const { return space_; }
    unsigned word() const { return word_; }
    std::optional<uint64_t> symbol(std::string_view name) const;
    std::optional<uint64_t> offset(std::string_view type, std::string_view member) const; // bytes
    std::optional<uint64_t> size(std::string_view type) const;                            // bytes
    // As above; LookupError names what is missing.
    uint64_t need_symbol(std::string_view name) const;
    uint64_t need_offset(std::string_view type, std::string_view member) const;
    uint64_t need_size(std::string_view type) const;
    uint64_t pointer(uint64_t at, std::string_view what) const; // MemoryError

private:
    const AddressSpace& space_;
    const VmcoreInfo& info_;
    const Target* target_; // null: VMCOREINFO alone
    unsigned word_;
};

// The three kinds of buffer, newest first. Each is one file.
void read_log_ring(const PrintkFacts& facts, KernelLog& log);       // printk_ring.cpp: v5.10
void read_log_records(const PrintkFacts& facts, KernelLog& log);    // printk_records.cpp: v3.5
void read_log_characters(const PrintkFacts& facts, KernelLog& log); // printk_records.cpp: before

} // namespace kcrash
