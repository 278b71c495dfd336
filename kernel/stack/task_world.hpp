// SPDX-License-Identifier: GPL-3.0-or-later
// The inside of Unwinder: one task's view of the machine.
#pragma once
#include "kernel/stack/machine.hpp"

namespace kcrash {

class TaskWorld final : public StackWorld {
public:
    TaskWorld(const Unwinder& unwinder, const Target& target, const Task& task, const StackOptions& options);
    Fault read(uint64_t address, std::span<std::byte> into) const override;
    std::optional<UnwindRow> rules(uint64_t lookup) const override;
    std::optional<UnwindRow> register_rules(uint64_t lookup) const override;
    bool is_text(uint64_t address) const override;
    std::optional<StackRange> stack_of(uint64_t sp) const override;
    std::optional<uint64_t> original_return(uint64_t slot, uint64_t pc) const override;
    std::optional<uint64_t> function_start(uint64_t lookup) const override;
    bool is_entry_code(uint64_t lookup) const override;
    std::optional<uint64_t> offset_of(std::string_view type, std::string_view member) const override;
    uint64_t unsigned_return(uint64_t value) const override;
    bool keeps_frame_pointers() const override;
    std::string describe_missing_rules(uint64_t pc) const override;

private:
    const Unwinder& unwinder_;
    const Target& target_;
    const Task& task_;
    const StackOptions& options_;
    std::optional<StackRange> process_;
    mutable std::optional<std::vector<StackRange>> special_; // found when the first address is not on the task's own
};

} // namespace kcrash
