// SPDX-License-Identifier: GPL-3.0-or-later
// Scanning stacks for what looks like something.
//
// Everything here may be stale: words that earlier calls left behind look like those of today. unwind() is for the truth.
#include "kernel/stack/scan.hpp"
#include <algorithm>

namespace kcrash {
namespace {

constexpr uint64_t most_bytes = 1 << 20; // of one stack

void add_text(const Target& target, uint64_t begin, uint64_t end, std::vector<ScanItem>& items) {
    for (const StackWord& word : stack_words(target, begin, end))
        if (const auto value = word.value ? std::optional(unsigned_code(target, *word.value)) : std::nullopt; value && target.symbols().is_text(*value))
            items.push_back({ScanItem::Kind::text, word.address, *value, {}, {}});
}

void add_registers(const ExceptionFrame& exception, std::vector<ScanItem>& items) {
    items.push_back({ScanItem::Kind::registers, exception.address, 0, exception, {}});
}

} // namespace

std::vector<StackWord> stack_words(const Target& target, uint64_t begin, uint64_t end) {
    const unsigned size = target.arch().word_size;
    std::vector<StackWord> words;
    if (end <= begin) return words;
    end = std::min(end, begin + most_bytes);
    words.reserve((end - begin) / size);
    std::vector<std::byte> page;
    for (uint64_t at = begin; at < end;) {
        const uint64_t part = std::min<uint64_t>(end, (at / 4096 + 1) * 4096) - at;
        page.resize(part);
        const bool read = target.kernel().try_read(VirtualAddress{at}, page) == Fault::none;
        for (uint64_t i = 0; i + size <= part; i += size) {
            const auto bytes = std::span<const std::byte>(page).subspan(i, size);
            words.push_back({at + i, read ? std::optional(load_unsigned(bytes, target.arch().order)) : std::nullopt});
        }
        at += part;
    }
    return words;
}

std::vector<ScanItem> scan_text(const Target& target, const Stack& stack, const StackRange& process) {
    std::vector<ScanItem> items;
    if (stack.start) add_registers(*stack.start, items);
    if (stack.frames.empty()) return items;
    const Architecture& arch = target.arch();
    uint64_t at = stack.frames.front().sp;
    bool on_process = true;
    for (size_t i = 0; i < stack.frames.size(); ++i) {
        const Frame& frame = stack.frames[i];
        on_process = frame.stack_name.empty();
        if (frame.exception) {
            add_text(target, at, frame.exception->address, items);
            add_registers(*frame.exception, items);
            at = frame.exception->address + arch.pt_regs_size;
            if (frame.exception->user_mode) return items;
        }
        if (frame.leaves_stack.empty() || i + 1 >= stack.frames.size()) continue;
        if (!frame.exception) add_text(target, at, frame.sp + arch.word_size, items);
        items.push_back({ScanItem::Kind::separator, 0, 0, {}, frame.leaves_stack});
        const Frame& next = stack.frames[i + 1];
        at = next.sp;
        if (next.interrupted) items.push_back({ScanItem::Kind::text, next.sp, next.pc, {}, {}});
    }
    if (on_process && at >= process.begin && at < process.end) add_text(target, at, process.end, items);
    else add_text(target, at, stack.frames.back().sp + arch.word_size, items);
    return items;
}

std::vector<ScanItem> scan_all_text(const Target& target, const Stack& stack, const StackRange& range) {
    std::vector<ScanItem> items;
    const ExceptionFrame* user = nullptr;
    if (!stack.frames.empty() && stack.end == StackEnd::user_mode && stack.frames.back().exception) user = &*stack.frames.back().exception;
    const bool inside = user && user->address >= range.begin && user->address < range.end;
    add_text(target, range.begin, inside ? user->address : range.end, items);
    if (inside) add_registers(*user, items);
    return items;
}

uint64_t lookup_of(const Target& target, uint64_t value) {
    const auto match = target.symbols().containing(value);
    if (match && match->offset != 0) return value - 1;
    // The first byte of a function: a pointer to it, or what a call that never returns left behind as the last
    // instruction of the function before.
    const Architecture& arch = target.arch();
    std::vector<std::byte> code(arch.call_size);
    const bool read = !code.empty() && target.kernel().try_read(VirtualAddress{value - code.size()}, code) == Fault::none;
    const auto callee = read ? arch.call_target(code, value) : std::nullopt;
    return callee && target.symbols().is_text(*callee) ? value - 1 : match ? value : value - 1;
}

std::vector<ExceptionFrame> find_exception_frames(const Target& target, const StackRange& range) {
    const Architecture& arch = target.arch();
    const std::vector<StackWord> words = stack_words(target, range.begin, range.end);
    const size_t count = arch.pt_regs_size / arch.word_size;
    const uint64_t whole_size = target.types().find(TypeKind::structure, "pt_regs") ? target.size_of("struct pt_regs") : arch.pt_regs_size; // with what is not a register
    std::vector<ExceptionFrame> found;
    for (size_t i = 0; i + count <= words.size(); ++i) {
        ExceptionFrame frame;
        frame.address = words[i].address;
        bool whole = true;
        for (const SavedRegister& saved : arch.pt_regs) {
            const auto& value = words[i + saved.offset / arch.word_size].value;
            if (!value) whole = false;
            else frame.registers.set(saved.number, saved.size ? *value & ((uint64_t{1} << saved.size * 8) - 1) : *value);
        }
        if (!whole || !arch.plausible(frame.registers, target.kernel_begin())) continue;
        frame.user_mode = arch.user_mode(frame.registers);
        if (frame.user_mode && arch.user_frame_at_end && frame.address + whole_size != range.end) continue;
        if (!frame.user_mode && !target.symbols().is_text(*frame.registers.get(arch.pc))) continue;
        found.push_back(frame);
        i += count - 1;
    }
    return found;
}

} // namespace kcrash
