// SPDX-License-Identifier: GPL-3.0-or-later
#include "kernel/taint.hpp"
#include "kernel/list.hpp"
#include "kernel/word.hpp"
#include <algorithm>
#include <initializer_list>

namespace kcrash {

std::string taint_letters(const Target& target, uint64_t mask) {
    std::string letters;
    // Linux 7fd8329ba502 ("taint/module: Clean up global and module taint flags handling"), v4.10.
    const auto flags = target.symbol_address("taint_flags");
    const auto letter = target.try_member("taint_flag", {"c_true"});
    const Type* type = target.types().find(TypeKind::structure, "taint_flag");
    if (!flags || !letter || !type) return letters;
    for (unsigned bit = 0; bit < 64; ++bit) {
        if (!(mask >> bit & 1)) continue;
        char c = '?';
        if (target.kernel().try_load(VirtualAddress(*flags + bit * type->size + letter->offset), c) != Fault::none) c = '?';
        letters += c;
    }
    return letters;
}

std::optional<Taint> read_taint(const Target& target) {
    const auto symbol = target.symbol_address("tainted_mask");
    Taint taint;
    if (!symbol || try_word(target, *symbol, taint.mask) != Fault::none) return std::nullopt;
    taint.letters = taint_letters(target, taint.mask);
    return taint;
}

LivePatch read_livepatch(const Target& target) {
    LivePatch patch;
    const auto pointer = pointer_reader(target.kernel(), target.arch().word_size);
    uint64_t first = 0;
    const auto patches = target.symbol_address("klp_patches");
    if (patches && pointer(*patches, first) == Fault::none) patch.patched = first != *patches && first != 0;
    const auto transition = target.symbol_address("klp_transition_patch");
    if (transition && pointer(*transition, first) == Fault::none) patch.transition = first != 0;
    return patch;
}

static const LogRecord* first_with(const KernelLog& log, std::initializer_list<std::string_view> words) {
    for (const LogRecord& record : log.records)
        for (const std::string_view word : words)
            if (record.text.find(word) != std::string::npos) return &record;
    return nullptr;
}

bool sysrq_crash(const KernelLog& log) { return first_with(log, {"SysRq : Crash", "SysRq : Trigger a crash"}) != nullptr; }

std::optional<std::string> panic_message(const KernelLog& log) {
    // Best first: the more a line says about the cause.
    static const std::initializer_list<std::string_view> kinds[] = {
        {"general protection fault: ", "double fault: ", "divide error: ", "stack segment: "},
        {"SysRq : Netdump", "SysRq : Crash", "SysRq : Trigger a crash"},
        {"kernel BUG at", "Kernel BUG at"},
        {"Unable to handle kernel paging request", "Unable to handle kernel NULL pointer dereference", "BUG: unable to handle kernel "},
        {"[Hardware Error]: "},
        {"Bad mode in "},
        {"Oops: "},
        {"Kernel panic: ", "Kernel panic - "},
    };
    for (const auto& words : kinds)
        if (const LogRecord* record = first_with(log, words)) return record->text.substr(0, record->text.find('\n'));
    return std::nullopt;
}

} // namespace kcrash
