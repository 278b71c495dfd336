// SPDX-License-Identifier: GPL-3.0-or-later
// How to get from one frame to its caller: rules for one instruction address, whatever they were read from.
//
// To add a source of rules: write symbols/<name>.cpp that makes an UnwindTable and name it where Target gathers them.
#pragma once
#include <cstdint>
#include <memory>
#include <optional>
#include <string_view>
#include <vector>

namespace kcrash {

// The value of a register of the caller.
struct RegisterRule {
    enum class Kind : uint8_t {
        same,        // the caller's is this frame's
        undefined,   // not recovered
        at_cfa,      // saved in memory at CFA + offset
        cfa_plus,    // is CFA + offset
        in_register, // is register `number` + offset
        at_register, // saved in memory at register `number` + offset
    } kind = Kind::same;
    unsigned number = 0;
    int64_t offset = 0; // bytes
};

struct UnwindRow {
    enum class Frame : uint8_t {
        call,         // an ordinary frame: its return address is a call's
        exception,    // the stack holds a full struct pt_regs at CFA's base
        partial_regs, // only the hardware's part of pt_regs (ip, cs, flags, sp, ss)
        end,          // no caller: the outermost frame
        undefined,    // no rule is known: do not guess
    } frame = Frame::undefined;
    // CFA = register + offset, or memory at (register + offset) if cfa_dereference, then + cfa_add.
    unsigned cfa_register = 0;
    int64_t cfa_offset = 0;
    bool cfa_dereference = false;
    int64_t cfa_add = 0;
    struct Rule { unsigned number; RegisterRule rule; };
    // A register without a rule is not recovered.
    std::vector<Rule> rules; // for all but the CFA; the return address has the architecture's pc number
    const char* source = ""; // "ORC", "CFI", "frame pointer": shown by bt -D style diagnostics and tests
};

// Rules of the kernel or of one module. Safe from many threads.
class UnwindTable {
public:
    virtual ~UnwindTable() = default;
    // The row for an address inside a function; nothing when the table does not cover it.
    virtual std::optional<UnwindRow> find(uint64_t address) const = 0;
    virtual std::string_view source() const = 0;
};

} // namespace kcrash
