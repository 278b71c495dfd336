// SPDX-License-Identifier: GPL-3.0-or-later
// The loop from frame to frame.
//
//            higher addresses
//        |  ...                  |
//        |  caller's locals      |
//        |  return address       | <- slot: what crash prints in brackets for the caller
//   CFA--+-----------------------+    (here the CFA is the stack pointer that the caller gets back)
//        |  this frame's locals  |
//        |  ...                  | <- frame_base: the stack pointer while in this frame
//
// A rule says where the CFA is and so where the return address is. Three things are not ordinary:
//  - In entry code the rule says that a struct pt_regs lies at the CFA (or only its end, which the processor wrote):
//    everything about the interrupted function is known again. If it was a user's, the stack ends here.
//  - The CFA may lie on another stack: interrupt and exception stacks are entered in the middle of a function. A stack that
//    was left is never entered again, and on one stack addresses only ascend; so the loop ends, whatever memory holds.
//  - A function tracer replaces return addresses by its own; the world knows the original.
//
// A word is taken for a return address only where a rule says that one is there, and only if it points into text.
#include "kernel/stack/machine.hpp"
#include <algorithm>
#include <fmt/format.h>

namespace kcrash {

static bool is_among(std::span<const StackRange> stacks, const StackRange& stack) {
    return std::any_of(stacks.begin(), stacks.end(), [&stack](const StackRange& one) { return one.end == stack.end; });
}

bool FrameView::was_left(const StackRange& stack) const { return is_among(left, stack); }

std::optional<uint64_t> FrameView::word(uint64_t address) const {
    std::byte bytes[8];
    const std::span<std::byte> into(bytes, arch.word_size);
    if (world.read(address, into) != Fault::none) return std::nullopt;
    return load_unsigned(into, arch.order);
}

namespace {

class Unwinding {
public:
    Unwinding(const StackWorld& world, const Architecture& arch, const StackStart& start, size_t most)
        : world_(world), arch_(arch), most_(most), machine_(stack_machine(arch)), registers_(start.registers), is_return_address_(start.is_return_address), slot_(start.slot),
          source_(start.source) {
        stack_.start = start.exception;
        interrupted_ = start.exception && !start.is_return_address;
    }

    Stack run() {
        const auto sp = registers_.get(arch_.sp);
        if (!sp) return end(StackEnd::not_recovered, "the stack pointer is not known");
        range_ = stack_at(*sp);
        while (!ended_ && stack_.frames.size() < most_) step();
        if (!ended_) end(StackEnd::outside, fmt::format("more than {} frames: the stack is damaged", most_));
        number_frames();
        return std::move(stack_);
    }

private:
    Stack end(StackEnd how, std::string message = {}) {
        ended_ = true;
        stack_.end = how;
        if (!message.empty()) stack_.message = std::move(message);
        return stack_;
    }

    void step() {
        Frame& frame = stack_.frames.emplace_back();
        frame.pc = *registers_.get(arch_.pc);
        frame.is_return_address = is_return_address_;
        frame.sp = machine_.stack_pointer_shown   ? *registers_.get(arch_.sp)
                   : machine_.frame_pointer_shown ? registers_.get(arch_.fp).value_or(slot_) : slot_;
        frame.frame_base = *registers_.get(arch_.sp);
        frame.registers = registers_;
        frame.source = source_;
        frame.interrupted = interrupted_;
        if (range_) frame.stack_name = range_->name;
        if (!is_return_address_ && !world_.is_text(frame.pc)) {
            back_from_wild_jump(frame);
            return;
        }
        const auto row = choose_rules(frame);
        if (!row) return;
        if (row->frame == UnwindRow::Frame::end) {
            end(StackEnd::outermost);
            return;
        }
        const auto cfa = find_cfa(frame, *row);
        if (!cfa) return;
        frame.cfa = *cfa;
        if (row->frame == UnwindRow::Frame::call) to_caller(frame, *row, *cfa);
        else to_interrupted(frame, *row, *cfa);
    }

    std::optional<UnwindRow> choose_rules(const Frame& frame) {
        const FrameView here = view();
        std::optional<UnwindRow> row;
        if (!world_.is_entry_code(frame.lookup())) row = world_.rules(frame.lookup());
        if (row && machine_.fit && row->frame != UnwindRow::Frame::undefined) row = machine_.fit(here, *row);
        if (row && row->frame != UnwindRow::Frame::undefined) return row;
        const bool text = world_.is_text(frame.lookup());
        if (!text || world_.keeps_frame_pointers()) row = frame_rules();
        else row = call_site_rules(frame);
        if (row && row->frame != UnwindRow::Frame::undefined) return row;
        end(StackEnd::no_rules, world_.describe_missing_rules(frame.pc));
        return std::nullopt;
    }

    FrameView view() const {
        return {world_, arch_, registers_, range_ ? &*range_ : nullptr, *registers_.get(arch_.pc) - (is_return_address_ ? 1 : 0), is_return_address_,
                left_};
    }

    std::optional<UnwindRow> frame_rules() const { return machine_.frame_rules ? machine_.frame_rules(view()) : std::nullopt; }

    // Functions with odd assembly have no ORC (__crash_kexec of Linux 6.1), and there may be no CFI. Then the caller is found by
    // its code: the next word that is the return address of a direct call of this very function.
    std::optional<UnwindRow> call_site_rules(const Frame& frame) const {
        constexpr uint64_t most = 1024; // bytes of one frame
        const auto function = world_.function_start(frame.lookup());
        if (!function || !frame.is_return_address || !range_) return std::nullopt;
        for (uint64_t slot = frame.frame_base; slot < frame.frame_base + most && slot < range_->end; slot += arch_.word_size) {
            const auto word = read_word(slot);
            if (!word || !world_.is_text(*word) || !calls(*word, *function)) continue;
            UnwindRow row;
            row.frame = UnwindRow::Frame::call;
            row.source = "call site";
            row.cfa_register = arch_.sp;
            row.cfa_offset = static_cast<int64_t>(slot + arch_.word_size - frame.frame_base);
            row.rules = {{arch_.pc, {RegisterRule::Kind::at_cfa, 0, -static_cast<int64_t>(arch_.word_size)}},
                         {arch_.sp, {RegisterRule::Kind::cfa_plus, 0, 0}}};
            // A frame pointer that points above the return address is still the caller's.
            if (registers_.get(arch_.fp).value_or(0) > slot) row.rules.push_back({arch_.fp, {RegisterRule::Kind::same, arch_.fp, 0}});
            return row;
        }
        return std::nullopt;
    }

    bool calls(uint64_t return_address, uint64_t function) const {
        std::vector<std::byte> code(arch_.call_size);
        if (code.empty() || world_.read(return_address - code.size(), code) != Fault::none) return false;
        return arch_.call_target(code, return_address) == function;
    }

    std::optional<uint64_t> read_word(uint64_t address) const { return view().word(address); }

    std::optional<uint64_t> cfa_of(const UnwindRow& row) const {
        const auto base = registers_.get(row.cfa_register);
        if (!base) return std::nullopt;
        const uint64_t at = *base + static_cast<uint64_t>(row.cfa_offset);
        if (!row.cfa_dereference) return at;
        const auto stored = read_word(at);
        if (!stored) return std::nullopt;
        return *stored + static_cast<uint64_t>(row.cfa_add);
    }

    // The CFA, if it is above on this stack, or on one that was not left before.
    std::optional<uint64_t> find_cfa(const Frame& frame, const UnwindRow& row) {
        auto cfa = cfa_of(row);
        const uint64_t sp = *registers_.get(arch_.sp);
        if (!cfa && row.frame == UnwindRow::Frame::call) // the user gave a stack pointer, and no frame pointer
            if (const auto site = call_site_rules(frame)) cfa = cfa_of(*site);
        if (!cfa) {
            end(StackEnd::not_recovered, fmt::format("the stack cannot be followed beyond 0x{:x}: a register that its rule names is not known",
                                                     *registers_.get(arch_.pc)));
            return std::nullopt;
        }
        const bool moves = row.frame == UnwindRow::Frame::call && is_return_address_; // a function that was interrupted may not have made its frame
        if (range_ && *cfa >= range_->begin && *cfa <= range_->end) {
            if (moves ? *cfa > sp : *cfa >= sp) return cfa;
            end(StackEnd::outside, fmt::format("the stack leads back from 0x{:x} to 0x{:x}: it is damaged", sp, *cfa));
            return std::nullopt;
        }
        const auto other = world_.stack_of(*cfa);
        if (!other && !range_ && (moves ? *cfa > sp : *cfa >= sp)) return cfa; // a stack that nobody knows
        if (!other || was_left(*other)) {
            end(StackEnd::outside, fmt::format("the stack leads from 0x{:x} to 0x{:x}, which is on no stack", sp, *cfa));
            return std::nullopt;
        }
        leave_for(*other);
        return cfa;
    }

    // The stack of a stack pointer. One that has run over its stack's end is in the unmapped page below: that belongs to it.
    std::optional<StackRange> stack_at(uint64_t sp) const {
        constexpr uint64_t guard_page = 4096;
        if (const auto range = world_.stack_of(sp)) return range;
        auto above = world_.stack_of(sp + guard_page);
        if (above) above->begin -= guard_page;
        return above;
    }

    bool was_left(const StackRange& range) const { return is_among(left_, range); }

    void leave_for(const StackRange& other) {
        if (range_) {
            left_.push_back(*range_);
            if (!range_->name.empty()) stack_.frames.back().leaves_stack = stack_separator(range_->name);
        }
        range_ = other;
    }

    std::optional<uint64_t> value_of(const RegisterRule& rule, unsigned number, uint64_t cfa) const {
        const uint64_t offset = static_cast<uint64_t>(rule.offset);
        const auto base = registers_.get(rule.number);
        switch (rule.kind) {
        case RegisterRule::Kind::same: return registers_.get(number);
        case RegisterRule::Kind::undefined: return std::nullopt;
        case RegisterRule::Kind::at_cfa: return read_word(cfa + offset);
        case RegisterRule::Kind::cfa_plus: return cfa + offset;
        case RegisterRule::Kind::in_register: return base ? std::optional(*base + offset) : std::nullopt;
        case RegisterRule::Kind::at_register: return base ? read_word(*base + offset) : std::nullopt;
        }
        return std::nullopt;
    }

    static const RegisterRule* rule_of(const UnwindRow& row, unsigned number) {
        for (const UnwindRow::Rule& rule : row.rules)
            if (rule.number == number) return &rule.rule;
        return nullptr;
    }

    // The callee-saved registers of the caller. ORC knows only one of them; CFI knows all where it agrees about the frame.
    void recover_saved(const Frame& frame, const UnwindRow& row, uint64_t cfa, Registers& caller) const {
        const auto extra = world_.register_rules(frame.lookup());
        const bool agrees = extra && extra->frame == UnwindRow::Frame::call && cfa_of(*extra) == cfa;
        const bool is_cfi = std::string_view(row.source) == "CFI";
        for (const unsigned number : arch_.callee_saved) {
            const RegisterRule* rule = rule_of(row, number);
            if (!rule && agrees) rule = rule_of(*extra, number);
            const RegisterRule same{};
            if (!rule && (agrees || is_cfi)) rule = &same;
            const auto value = rule ? value_of(*rule, number, cfa) : std::nullopt;
            if (value) caller.set(number, *value);
        }
    }

    void to_caller(Frame& frame, const UnwindRow& row, uint64_t cfa) {
        const RegisterRule* pc_rule = rule_of(row, arch_.pc);
        const bool in_memory = pc_rule && pc_rule->kind == RegisterRule::Kind::at_cfa;
        if (!pc_rule || (!in_memory && pc_rule->kind != RegisterRule::Kind::in_register)) {
            end(StackEnd::not_recovered, fmt::format("the rule of 0x{:x} has no return address", frame.pc));
            return;
        }
        const uint64_t slot = in_memory ? cfa + static_cast<uint64_t>(pc_rule->offset) : cfa;
        if (in_memory && range_ && slot + arch_.word_size > range_->end) {
            end(StackEnd::outermost);
            return;
        }
        auto found = value_of(*pc_rule, arch_.pc, cfa);
        if (found) found = world_.unsigned_return(*found);
        if (!found) {
            if (in_memory) end(StackEnd::unreadable, fmt::format("the stack at 0x{:x} cannot be read", slot));
            else end(StackEnd::not_recovered, fmt::format("the return address of 0x{:x} is in a register that is not known", frame.pc));
            return;
        }
        if (*found == 0) {
            end(StackEnd::outermost);
            return;
        }
        const auto pc = world_.original_return(slot, *found);
        Registers caller;
        recover_saved(frame, row, cfa, caller);
        caller.set(arch_.pc, pc.value_or(*found));
        caller.set(arch_.sp, cfa - machine_.cfa_above_sp);
        if (machine_.frame_pointer_leads) follow_frame_pointer(caller);
        const bool after_call = !pc || !is_begin_of_entry_code(*pc);
        continue_with(caller, slot, after_call, row.source);
        interrupted_ = false;
        if (!pc) end(StackEnd::no_rules, fmt::format("a tracer keeps the return address that belongs at 0x{:x}, and it was not found", slot));
        else if (!world_.is_text(*pc)) {
            const auto next = frame_rules();
            const bool ends = next && next->frame == UnwindRow::Frame::end;
            if (ends && nothing_was_entered(cfa)) end(StackEnd::outermost); // called before the page tables were on
            else if (ends || !next) end(StackEnd::outside, fmt::format("0x{:x} at 0x{:x} is not an address of code", *pc, slot));
        }
    }

    // At the begin of a stack: are there no registers of who entered the kernel?
    bool nothing_was_entered(uint64_t sp) const {
        if (range_ && sp + arch_.pt_regs_size > range_->end) return true;
        const auto saved = read_pt_regs(world_, arch_, sp, false);
        return saved && saved->registers.get(arch_.pc) == 0u && saved->registers.get(arch_.sp) == 0u;
    }

    // Entry code may give who it calls a return address that it did not call from: the begin of what comes next.
    bool is_begin_of_entry_code(uint64_t pc) const { return world_.is_entry_code(pc) && world_.function_start(pc) == pc; }

    // Frame records link one stack with the next: where the caller's lies is where the caller ran.
    void follow_frame_pointer(Registers& caller) {
        const auto fp = caller.get(arch_.fp);
        if (!fp || !*fp || !range_ || (*fp >= range_->begin && *fp < range_->end)) return;
        const auto other = world_.stack_of(*fp);
        if (!other || was_left(*other)) return;
        leave_for(*other);
        caller.set(arch_.sp, *fp);
    }

    void to_interrupted(Frame& frame, const UnwindRow& row, uint64_t cfa) {
        const bool partial = row.frame == UnwindRow::Frame::partial_regs;
        auto exception = read_pt_regs(world_, arch_, partial ? cfa - hardware_offset() : cfa, partial);
        if (!exception) {
            end(StackEnd::unreadable, fmt::format("the registers at 0x{:x} cannot be read", cfa));
            return;
        }
        const auto pc = exception->registers.get(arch_.pc), sp = exception->registers.get(arch_.sp);
        if (*pc == 0 && *sp == 0) { // the place for a user's registers in a thread of the kernel
            end(StackEnd::outermost);
            return;
        }
        if (partial)
            for (const unsigned number : arch_.callee_saved) exception->registers.copy(registers_, number);
        frame.exception = exception;
        if (exception->user_mode) {
            end(StackEnd::user_mode);
            return;
        }
        // A stack that ran over has a stack pointer outside of it, and its frames inside.
        const auto fp = exception->registers.get(arch_.fp);
        if (!follow_stack(*sp) && !(machine_.frame_pointer_leads && fp && follow_stack(*fp))) {
            if (world_.is_entry_code(*pc)) end(StackEnd::outermost); // entered from user mode, and not on a kernel's stack yet
            else end(StackEnd::outside, fmt::format("the registers at 0x{:x} name no stack: sp is 0x{:x}", exception->address, *sp));
            return;
        }
        interrupted_ = true;
        continue_with(exception->registers, *sp, false, row.source);
    }

    // After a call through a bad pointer there are no rules, but the return address is where a call leaves it.
    void back_from_wild_jump(Frame& frame) {
        const auto next = machine_.back_from_wild_jump ? machine_.back_from_wild_jump(view()) : std::nullopt;
        if (!next || !world_.is_text(*next->get(arch_.pc))) {
            end(StackEnd::no_rules, fmt::format("0x{:x} is not an address of code, and no return address lies at 0x{:x}", frame.pc, frame.frame_base));
            return;
        }
        frame.cfa = *next->get(arch_.sp);
        interrupted_ = false;
        continue_with(*next, frame.frame_base, true, "call");
    }

    // The interrupted stack pointer: on this stack above, or on another.
    bool follow_stack(uint64_t sp) {
        const uint64_t here = *registers_.get(arch_.sp);
        const bool came_from_elsewhere = range_ && (here < range_->begin || here > range_->end);
        if (range_ && sp >= range_->begin && sp <= range_->end) return came_from_elsewhere || sp >= here;
        const auto other = stack_at(sp);
        if (!other) return !range_ && sp > here;
        if (was_left(*other)) return false;
        leave_for(*other);
        return true;
    }

    unsigned hardware_offset() const {
        for (const SavedRegister& saved : arch_.pt_regs)
            if (saved.number == arch_.pc) return saved.offset;
        return 0;
    }

    void continue_with(const Registers& registers, uint64_t slot, bool is_return_address, const char* source) {
        registers_ = registers;
        slot_ = slot;
        is_return_address_ = is_return_address;
        source_ = source;
    }

    // As crash counts: on most machines an interrupted function has a number of its own only where stacks change.
    void number_frames() {
        unsigned level = 0;
        for (size_t i = 0; i < stack_.frames.size(); ++i) {
            Frame& frame = stack_.frames[i];
            frame.level = level;
            frame.hidden = frame.interrupted && !machine_.interrupted_is_a_frame && (i == 0 || stack_.frames[i - 1].leaves_stack.empty());
            if (!frame.hidden) ++level;
            // crash takes the first frame under an interrupt's stack for one that lies where the saved registers do.
            const bool entered = i > 0 && !machine_.frame_pointer_shown && !machine_.stack_pointer_shown && stack_.frames[i - 1].leaves_stack == stack_separator("IRQ");
            if (entered && frame.exception && frame.exception->address == frame.sp + arch_.word_size) frame.sp = frame.exception->address;
        }
    }

    const StackWorld& world_;
    const Architecture& arch_;
    size_t most_;
    const StackMachine& machine_;
    Stack stack_;
    bool ended_ = false;
    Registers registers_;
    bool is_return_address_;
    uint64_t slot_;
    const char* source_;
    bool interrupted_ = false;
    std::optional<StackRange> range_;
    std::vector<StackRange> left_;
};

} // namespace

Stack unwind_from(const StackWorld& world, const Architecture& arch, const StackStart& start, size_t most) {
    if (start.exception && start.exception->user_mode) {
        Stack stack;
        stack.start = start.exception;
        stack.end = StackEnd::user_mode;
        return stack;
    }
    return Unwinding(world, arch, start, most).run();
}

} // namespace kcrash
