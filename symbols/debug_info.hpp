// SPDX-License-Identifier: GPL-3.0-or-later
// What DWARF says about code: lines, inlined calls, arguments and locals. Opened only when asked for.
#pragma once
#include "arch/registers.hpp"
#include "core/fault.hpp"
#include "symbols/type.hpp"
#include "symbols/types.hpp"
#include "symbols/unwind.hpp"
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace kcrash {

struct SourceLine {
    std::string file; // as the compiler recorded it
    unsigned line = 0;
    unsigned column = 0;
};

// A function that covers an address: the innermost inlined one first, the real one last.
struct InlineFrame {
    std::string function;
    std::optional<SourceLine> location; // of the code in this function (for outer ones: of the inlined call)
    bool inlined = false;
};

// Where a variable's value is, at one address of the code.
struct VariableValue {
    enum class State : uint8_t {
        value,            // bytes hold it
        in_memory,        // at address
        optimized_out,    // DWARF says that it exists nowhere here
        not_recovered,    // DWARF names a register that the unwinder could not recover
        unreadable,       // its memory is not in the dump: reason says why
        unsupported,      // a DWARF operation that we do not evaluate: reason names it
        synthetic,        // a pointer to a variable that has a value but no address: reason is that variable's name
    } state = State::optimized_out;
    std::string name;
    const Type* type = nullptr;   // null: unknown
    bool is_parameter = false;
    std::string function;         // the (inlined) function whose variable it is
    uint64_t address = 0;         // in_memory
    std::vector<std::byte> bytes; // value
    std::string reason;           // not_recovered: the register's name
};

// A call, as the DWARF of the function that makes it describes it: whom it calls, and what it passes.
struct CallSite {
    struct Passed {
        unsigned number;               // of the register
        std::optional<uint64_t> value; // nothing: `state` and `reason` say why
        VariableValue::State state = VariableValue::State::value;
        std::string reason;
    };
    std::string function;           // by name; empty: called through a pointer
    std::optional<uint64_t> target; // its address, where that can be computed
    std::vector<Passed> passed;
};

// What evaluation of a location needs from a frame.
struct FrameContext {
    uint64_t pc = 0;              // address to look up: for callers return address - 1
    const Registers* registers = nullptr;
    uint64_t cfa = 0;
    std::function<Fault(uint64_t address, std::span<std::byte> into)> read;
    const CallSite* call = nullptr; // that led to this frame, for values that a parameter had on entry; null: unknown
};

// One file's DWARF (vmlinux, or a module's .ko with its run-time section addresses). Addresses are run-time ones.
// Safe from many threads: a lock confines libdw's handle.
class DebugInfo {
public:
    virtual ~DebugInfo() = default;
    virtual std::optional<SourceLine> line(uint64_t pc) = 0;
    virtual std::vector<InlineFrame> inline_frames(uint64_t pc) = 0;
    virtual std::vector<VariableValue> variables(const FrameContext& frame) = 0;
    // The call that a frame is in (its pc lies inside of the call). Nothing: DWARF does not describe it.
    virtual std::optional<CallSite> call_site(const FrameContext& frame) = 0;
    virtual std::shared_ptr<const TypeSource> types() = 0;        // DWARF as types; names are indexed on first use
    virtual std::shared_ptr<const UnwindTable> cfi() = 0;         // .debug_frame / .eh_frame; null: has none
};

} // namespace kcrash
