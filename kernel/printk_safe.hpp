// SPDX-License-Identifier: GPL-3.0-or-later
// Messages that never reached the message buffer: kernel/printk/printk_safe.c (v4.10 to v5.14), kernel/audit.c.
#pragma once
#include "kernel/target.hpp"

namespace kcrash {

// One CPU's buffer for messages from NMI or from inside printk itself.
struct SafeBuffer {
    std::string name;      // "nmi_print_seq", "safe_print_seq"
    unsigned cpu = 0;
    uint64_t address = 0;
    std::optional<uint64_t> length = {}, lost = {}; // bytes; messages
    std::string text = {};
    std::string unreadable = {}; // not empty: why the text is not there
};
// Empty for kernels that have no such buffers.
std::vector<SafeBuffer> read_safe_buffers(const Target& target);

// An audit message that waits for the audit daemon.
struct AuditMessage {
    uint64_t skb = 0;             // address of its sk_buff
    std::optional<unsigned> type = {}; // AUDIT_* of linux/audit.h
    std::string text = {};
    std::string unreadable = {};       // not empty: why
};
// LookupError when this kernel has no audit queue.
std::vector<AuditMessage> read_audit_queue(const Target& target, std::vector<std::string>& warnings);

} // namespace kcrash
