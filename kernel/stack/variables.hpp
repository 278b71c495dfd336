// SPDX-License-Identifier: GPL-3.0-or-later
// Arguments and locals of the frames of one stack, each with its value or the reason why there is none.
#pragma once
#include "kernel/stack/stack.hpp"

namespace kcrash {

// Looks at the target and the stack, which was unwound with recover_registers. Reads the calls of all frames when it is made: what
// a function was passed is known in its caller's frame. FileError when debug information is damaged.
class FrameVariables {
public:
    FrameVariables(const Target& target, const Stack& stack);
    FrameVariables(const FrameVariables&) = delete;
    FrameVariables& operator=(const FrameVariables&) = delete;
    std::vector<VariableValue> of(size_t index) const; // of stack.frames[index]; empty without debug information

private:
    const Target& target_;
    std::vector<FrameContext> contexts_;         // by frame
    std::vector<std::optional<CallSite>> calls_; // that each frame makes; contexts_ look at them
};

} // namespace kcrash
