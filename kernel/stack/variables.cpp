// SPDX-License-Identifier: GPL-3.0-or-later
// Frames as DWARF wants to see them, with the calls between them.
#include "kernel/stack/variables.hpp"

namespace kcrash {

FrameVariables::FrameVariables(const Target& target, const Stack& stack)
    : target_(target), contexts_(stack.frames.size()), calls_(stack.frames.size()) {
    for (size_t i = stack.frames.size(); i-- > 0;) { // a call may pass on what was passed: the outermost first
        const Frame& frame = stack.frames[i];
        FrameContext& context = contexts_[i];
        context.pc = frame.lookup();
        context.registers = &frame.registers;
        context.cfa = frame.cfa;
        context.read = [&target](uint64_t address, std::span<std::byte> into) { return target.kernel().try_read(VirtualAddress{address}, into); };
        // Whoever was interrupted did not call.
        const bool called = i + 1 < stack.frames.size() && stack.frames[i + 1].is_return_address && !frame.exception;
        if (called && calls_[i + 1]) context.call = &*calls_[i + 1];
        if (!frame.is_return_address) continue;
        if (DebugInfo* info = target.debug_info(context.pc)) calls_[i] = info->call_site(context);
    }
}

std::vector<VariableValue> FrameVariables::of(size_t index) const {
    DebugInfo* info = target_.debug_info(contexts_[index].pc);
    return info ? info->variables(contexts_[index]) : std::vector<VariableValue>{};
}

} // namespace kcrash
