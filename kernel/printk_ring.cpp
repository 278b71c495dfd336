// SPDX-License-Identifier: GPL-3.0-or-later
// The lockless ring buffer, kernel/printk/printk_ringbuffer.h: 896fbe20b4e2 ("printk: use the lockless ringbuffer"), v5.10.
//
//   prb -> printk_ringbuffer
//            desc_ring: descs[2^count_bits]  { state_var, text_blk_lpos { begin, next } }    by id modulo the count
//                       infos[2^count_bits]  { seq, ts_nsec, text_len, facility, flags:5 level:3, caller_id, dev_info }
//            text_data_ring: data[2^size_bits]                                              by lpos modulo the size
//
// A descriptor's id runs on for ever; its low bits are the index. The two top bits of state_var say how far it is written:
// 0 reserved, 1 committed, 2 finalized, 3 reusable; only 1 and 2 hold a message, and only when the id is still the expected
// one. A block of text begins with the id of its descriptor; a block that would not fit before the end of the ring starts
// over at index 0. Logical positions with the lowest bit set stand for "no text".
#include "core/interrupt.hpp"
#include "kernel/printk_facts.hpp"
#include <algorithm>
#include <fmt/format.h>

namespace kcrash {
namespace {

class Ring {
public:
    explicit Ring(const PrintkFacts& facts);
    void read(KernelLog& log) const;

private:
    LogRecord record(uint64_t id, uint64_t begin, uint64_t next) const;
    void dictionary(LogRecord& record, const std::vector<std::byte>& info) const;
    std::string text(uint64_t id, uint64_t begin, uint64_t next, uint64_t length, std::string& lost) const;
    uint64_t field(std::span<const std::byte> bytes, uint64_t offset, unsigned size) const {
        return load_unsigned(bytes.subspan(offset, size), facts_.space().order());
    }
    uint64_t id_mask() const { return ~uint64_t{0} >> (64 - (facts_.word() * 8 - 2)); }

    const PrintkFacts& facts_;
    unsigned word_;
    uint64_t descs_ = 0, infos_ = 0, data_ = 0, head_ = 0, tail_ = 0;
    unsigned count_bits_ = 0, size_bits_ = 0;
    uint64_t desc_size_, state_, begin_, next_;
    uint64_t info_size_, seq_, time_, length_, caller_;
    std::optional<uint64_t> device_info_, subsystem_, device_;
};

Ring::Ring(const PrintkFacts& facts) : facts_(facts), word_(facts.word()) {
    const uint64_t prb = facts.pointer(facts.need_symbol("prb"), "prb");
    const uint64_t ring = prb + facts.need_offset("printk_ringbuffer", "desc_ring");
    const uint64_t text = prb + facts.need_offset("printk_ringbuffer", "text_data_ring");
    count_bits_ = facts.space().u32(VirtualAddress(ring + facts.need_offset("prb_desc_ring", "count_bits")), "prb_desc_ring.count_bits");
    size_bits_ = facts.space().u32(VirtualAddress(text + facts.need_offset("prb_data_ring", "size_bits")), "prb_data_ring.size_bits");
    if (count_bits_ == 0 || count_bits_ > 30 || size_bits_ == 0 || size_bits_ > 31)
        throw CorruptError(fmt::format("the message ring at {:#x} is damaged: 2^{} messages in 2^{} bytes", prb, count_bits_, size_bits_));
    descs_ = facts.pointer(ring + facts.need_offset("prb_desc_ring", "descs"), "prb_desc_ring.descs");
    infos_ = facts.pointer(ring + facts.need_offset("prb_desc_ring", "infos"), "prb_desc_ring.infos");
    head_ = facts.pointer(ring + facts.need_offset("prb_desc_ring", "head_id"), "prb_desc_ring.head_id") & id_mask();
    tail_ = facts.pointer(ring + facts.need_offset("prb_desc_ring", "tail_id"), "prb_desc_ring.tail_id") & id_mask();
    data_ = facts.pointer(text + facts.need_offset("prb_data_ring", "data"), "prb_data_ring.data");

    desc_size_ = facts.need_size("prb_desc");
    state_ = facts.need_offset("prb_desc", "state_var");
    const uint64_t lpos = facts.need_offset("prb_desc", "text_blk_lpos");
    begin_ = lpos + facts.need_offset("prb_data_blk_lpos", "begin");
    next_ = lpos + facts.need_offset("prb_data_blk_lpos", "next");
    info_size_ = facts.need_size("printk_info");
    seq_ = facts.need_offset("printk_info", "seq");
    time_ = facts.need_offset("printk_info", "ts_nsec");
    length_ = facts.need_offset("printk_info", "text_len");
    caller_ = facts.need_offset("printk_info", "caller_id");
    device_info_ = facts.offset("printk_info", "dev_info");
    subsystem_ = facts.offset("dev_printk_info", "subsystem");
    device_ = facts.offset("dev_printk_info", "device");
    if (std::max({state_, begin_, next_}) + word_ > desc_size_ || std::max({seq_ + 8, time_ + 8, length_ + 4, caller_ + 4}) > info_size_)
        throw CorruptError("the message ring cannot be read: its members lie outside of their structs");
}

void Ring::read(KernelLog& log) const {
    const uint64_t mask = id_mask(), count = uint64_t{1} << count_bits_;
    std::vector<std::byte> desc(desc_size_);
    uint64_t unreadable = 0;
    for (uint64_t step = 0, id = tail_; step < count; ++step, id = (id + 1) & mask) {
        check_interrupt();
        if (facts_.space().try_read(VirtualAddress(descs_ + (id & (count - 1)) * desc_size_), desc) != Fault::none) {
            ++unreadable;
        } else {
            const uint64_t state = field(desc, state_, word_), progress = state >> (word_ * 8 - 2) & 3;
            if ((state & mask) == id && (progress == 1 || progress == 2))
                log.records.push_back(record(id, field(desc, begin_, word_), field(desc, next_, word_)));
        }
        if (id == head_) break;
    }
    if (unreadable > 0) log.warnings.push_back(fmt::format("{} message descriptors are unreadable: their messages are missing", unreadable));
}

LogRecord Ring::record(uint64_t id, uint64_t begin, uint64_t next) const {
    LogRecord record;
    std::vector<std::byte> info(info_size_);
    const uint64_t at = infos_ + (id & ((uint64_t{1} << count_bits_) - 1)) * info_size_;
    if (const Fault fault = facts_.space().try_read(VirtualAddress(at), info); fault != Fault::none) {
        record.lost = describe(fault);
        return record;
    }
    record.sequence = field(info, seq_, 8);
    record.nanoseconds = field(info, time_, 8);
    record.facility = static_cast<unsigned>(field(info, length_ + 2, 1));
    // `u8 flags:5; u8 level:3`: bit-fields count from the low end on little-endian machines, from the high end on others.
    const auto bits = static_cast<unsigned>(field(info, length_ + 3, 1));
    record.level = facts_.space().order() == ByteOrder::little ? bits >> 5 : bits & 7;
    record.caller = static_cast<uint32_t>(field(info, caller_, 4));
    dictionary(record, info);
    record.text = text(id, begin, next, field(info, length_, 2), record.lost);
    return record;
}

void Ring::dictionary(LogRecord& record, const std::vector<std::byte>& info) const {
    if (!device_info_ || !subsystem_ || !device_ || *device_ <= *subsystem_) return;
    const auto string = [&](uint64_t from, uint64_t to) {
        std::string value;
        for (uint64_t i = from; i < std::min<uint64_t>(to, info.size()) && info[i] != std::byte{0}; ++i) value += static_cast<char>(info[i]);
        return value;
    };
    const std::string subsystem = string(*device_info_ + *subsystem_, *device_info_ + *device_);
    const std::string device = string(*device_info_ + *device_, info.size());
    if (!subsystem.empty()) record.dictionary.push_back("SUBSYSTEM=" + subsystem);
    if (!device.empty()) record.dictionary.push_back("DEVICE=" + device);
}

std::string Ring::text(uint64_t id, uint64_t begin, uint64_t next, uint64_t length, std::string& lost) const {
    if ((begin & 1) && (next & 1)) return {}; // an empty line, or a message that found no room
    const uint64_t size = uint64_t{1} << size_bits_, index = begin & (size - 1), end = next & (size - 1);
    uint64_t from = index, room = next - begin;
    // Since v6.18 ("printk_ringbuffer: don't needlessly wrap data blocks around") a block may end at the very end.
    if (begin >> size_bits_ != next >> size_bits_ && end != 0) {
        from = 0;
        room = end;
    }
    const bool next_round = (begin + size) >> size_bits_ == next >> size_bits_;
    if ((begin >> size_bits_ != next >> size_bits_ && !next_round) || room < word_ || from + room > size) {
        lost = "its place in the ring is damaged";
        return {};
    }
    std::vector<std::byte> block(word_ + std::min(length, room - word_));
    if (const Fault fault = facts_.space().try_read(VirtualAddress(data_ + from), block); fault != Fault::none) {
        lost = describe(fault);
        return {};
    }
    if ((field(block, 0, word_) & id_mask()) != id) {
        lost = "it was overwritten";
        return {};
    }
    return {reinterpret_cast<const char*>(block.data()) + word_, block.size() - word_};
}

} // namespace

void read_log_ring(const PrintkFacts& facts, KernelLog& log) { Ring(facts).read(log); }

} // namespace kcrash
