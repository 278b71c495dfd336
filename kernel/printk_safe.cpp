// SPDX-License-Identifier: GPL-3.0-or-later
#include "kernel/printk_safe.hpp"
#include "core/error.hpp"
#include "kernel/list.hpp"
#include "kernel/percpu.hpp"
#include <algorithm>
#include <cstring>
#include <fmt/format.h>

namespace kcrash {
namespace {

void read_safe_buffer(const Target& target, SafeBuffer& buffer) {
    const auto length = target.try_member("printk_safe_seq_buf", {"len.counter", "len"});
    const auto lost = target.try_member("printk_safe_seq_buf", {"message_lost.counter", "message_lost"});
    const auto text = target.try_member("printk_safe_seq_buf", {"buffer"});
    uint64_t value = 0;
    if (length && length->load(target.kernel(), buffer.address, value) == Fault::none) buffer.length = value;
    if (lost && lost->load(target.kernel(), buffer.address, value) == Fault::none) buffer.lost = value;
    if (!text || !buffer.length) {
        buffer.unreadable = "unreadable";
        return;
    }
    buffer.text.resize(std::min<uint64_t>(*buffer.length, text->size));
    const Fault fault = target.kernel().try_read(VirtualAddress(buffer.address + text->offset), std::as_writable_bytes(std::span(buffer.text)));
    if (fault == Fault::none) return;
    buffer.text.clear();
    buffer.unreadable = describe(fault);
}

AuditMessage read_audit_message(const Target& target, uint64_t skb, const Member& data, const Member& length) {
    AuditMessage message{.skb = skb};
    uint64_t at = 0, bytes = 0;
    Fault fault = data.load(target.kernel(), skb, at);
    if (fault == Fault::none) fault = length.load(target.kernel(), skb, bytes);
    constexpr uint64_t header = 16; // struct nlmsghdr of uapi/linux/netlink.h: u32 len, u16 type, u16 flags, u32 seq, u32 pid
    std::vector<std::byte> raw(std::clamp<uint64_t>(bytes, header, 65536));
    if (fault == Fault::none) fault = target.kernel().try_read(VirtualAddress(at), raw);
    if (fault != Fault::none) {
        message.unreadable = describe(fault);
        return message;
    }
    const ByteOrder order = target.kernel().order();
    const uint64_t told = load<uint32_t>(raw.data(), order);
    message.type = load<uint16_t>(raw.data() + 4, order);
    const uint64_t end = std::min<uint64_t>(told < header ? raw.size() : told, raw.size());
    message.text.assign(reinterpret_cast<const char*>(raw.data()) + header, end - header);
    message.text.resize(strnlen(message.text.data(), message.text.size()));
    return message;
}

} // namespace

// Linux 93d102f094be ("printk: remove safe buffers"), v5.15.
std::vector<SafeBuffer> read_safe_buffers(const Target& target) {
    std::vector<SafeBuffer> buffers;
    for (const char* name : {"nmi_print_seq", "safe_print_seq"}) {
        const auto symbol = target.symbol_address(name);
        if (!symbol) continue;
        for (const unsigned cpu : target.possible_cpus()) {
            const auto at = per_cpu_address(target, *symbol, cpu);
            if (!at) continue;
            buffers.push_back({.name = name, .cpu = cpu, .address = *at});
            read_safe_buffer(target, buffers.back());
        }
    }
    return buffers;
}

std::vector<AuditMessage> read_audit_queue(const Target& target, std::vector<std::string>& warnings) {
    // Named audit_skb_queue before v4.10.
    auto queue = target.symbol_address("audit_queue");
    if (!queue) queue = target.symbol_address("audit_skb_queue");
    if (!queue) throw LookupError("this kernel has no audit queue (neither audit_queue nor audit_skb_queue)");
    const Member data = target.member("sk_buff", {"data"}), length = target.member("sk_buff", {"len"});
    std::vector<AuditMessage> messages;
    const ListNodes list = list_nodes(target.kernel(), target.arch().word_size, *queue);
    for (const uint64_t skb : list.nodes) messages.push_back(read_audit_message(target, skb, data, length));
    if (!list.forward.whole()) warnings.push_back("audit queue: " + list.forward.describe());
    return messages;
}

} // namespace kcrash
