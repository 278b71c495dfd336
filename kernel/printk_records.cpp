// SPDX-License-Identifier: GPL-3.0-or-later
// The message buffers before the ring.
//
// Linux 7ff9554bb578 ("printk: convert byte-buffer to variable-length record buffer"), v3.5, until v5.9: log_buf holds
//
//   { u64 ts_nsec; u16 len, text_len, dict_len; u8 facility; u8 flags:5, level:3; [u32 caller_id] } text dictionary padding
//
// from log_first_idx to log_next_idx. A record whose len is 0 says: go on at index 0. dict holds NUL-separated KEY=value.
//
// Before v3.5 log_buf is a ring of characters: log_end counts all that were ever written, logged_chars those that are there.
#include "core/interrupt.hpp"
#include "kernel/printk_facts.hpp"
#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <fmt/format.h>

namespace kcrash {
namespace {

constexpr uint64_t most_bytes = uint64_t{1} << 31; // log_buf_len= may not exceed this

struct Records {
    const PrintkFacts& facts;
    uint64_t buffer, size;
    uint64_t header, time, length, text_length, dict_length;
    std::optional<uint64_t> caller;

    explicit Records(const PrintkFacts& given) : facts(given) {
        // 62e32ac3505a ("printk: rename struct log to struct printk_log"), v3.11.
        const char* type = facts.size("printk_log") ? "printk_log" : "log";
        header = facts.need_size(type);
        time = facts.need_offset(type, "ts_nsec");
        length = facts.need_offset(type, "len");
        text_length = facts.need_offset(type, "text_len");
        dict_length = facts.need_offset(type, "dict_len");
        caller = facts.offset(type, "caller_id");
        buffer = facts.pointer(facts.need_symbol("log_buf"), "log_buf");
        size = facts.space().u32(VirtualAddress(facts.need_symbol("log_buf_len")), "log_buf_len");
        if (size == 0 || size > most_bytes || std::max({time + 8, length + 2, text_length + 2, dict_length + 4}) > header)
            throw CorruptError(fmt::format("the message buffer is damaged: {} bytes at {:#x}", size, buffer));
    }
    uint64_t field(std::span<const std::byte> bytes, uint64_t offset, unsigned width) const {
        return load_unsigned(bytes.subspan(offset, width), facts.space().order());
    }
    void fill(LogRecord& record, std::span<const std::byte> head, uint64_t at) const;
};

void Records::fill(LogRecord& record, std::span<const std::byte> head, uint64_t at) const {
    record.nanoseconds = field(head, time, 8);
    record.facility = static_cast<unsigned>(field(head, dict_length + 2, 1));
    const auto bits = static_cast<unsigned>(field(head, dict_length + 3, 1));
    record.level = facts.space().order() == ByteOrder::little ? bits >> 5 : bits & 7;
    if (caller && *caller + 4 <= header) record.caller = static_cast<uint32_t>(field(head, *caller, 4));
    const uint64_t text = field(head, text_length, 2), dict = field(head, dict_length, 2);
    std::vector<std::byte> bytes(text + dict);
    if (const Fault fault = facts.space().try_read(VirtualAddress(buffer + at + header), bytes); fault != Fault::none) {
        record.lost = describe(fault);
        return;
    }
    const auto* letters = reinterpret_cast<const char*>(bytes.data());
    record.text.assign(letters, text);
    for (uint64_t i = text; i < bytes.size();) {
        const std::string one(letters + i, strnlen(letters + i, bytes.size() - i));
        if (!one.empty()) record.dictionary.push_back(one);
        i += one.size() + 1;
    }
}

} // namespace

void read_log_records(const PrintkFacts& facts, KernelLog& log) {
    const Records records(facts);
    const uint64_t first = facts.space().u32(VirtualAddress(facts.need_symbol("log_first_idx")), "log_first_idx");
    const uint64_t end = facts.space().u32(VirtualAddress(facts.need_symbol("log_next_idx")), "log_next_idx");
    std::vector<std::byte> head(records.header);
    uint64_t bytes = 0; // every record takes some: no more than the buffer has
    bool wrapped = false;
    for (uint64_t at = first; at != end;) {
        check_interrupt();
        LogRecord record;
        if (at + records.header > records.size) {
            log.warnings.push_back(fmt::format("a message at {:#x} runs over the end of the buffer: what follows is missing", records.buffer + at));
            return;
        }
        if (const Fault fault = facts.space().try_read(VirtualAddress(records.buffer + at), head); fault != Fault::none) {
            log.warnings.push_back(fmt::format("the message at {:#x} is {}: what follows is missing", records.buffer + at, describe(fault)));
            return;
        }
        const uint64_t length = records.field(head, records.length, 2);
        if (length == 0 && !wrapped) {
            wrapped = true;
            at = 0;
            continue;
        }
        bytes += length;
        if (length < records.header || bytes > records.size ||
            records.header + records.field(head, records.text_length, 2) + records.field(head, records.dict_length, 2) > length) {
            log.warnings.push_back(fmt::format("the message at {:#x} is damaged: what follows is missing", records.buffer + at));
            return;
        }
        records.fill(record, head, at);
        log.records.push_back(std::move(record));
        at += length;
    }
}

void read_log_characters(const PrintkFacts& facts, KernelLog& log) {
    log.has_records = false;
    const AddressSpace& space = facts.space();
    // log_end is 32 bits wide since v2.6.25; before, its low half is what counts here.
    const uint64_t buffer = facts.pointer(facts.need_symbol("log_buf"), "log_buf");
    const uint64_t size = space.u32(VirtualAddress(facts.need_symbol("log_buf_len")), "log_buf_len");
    const uint64_t end = space.u32(VirtualAddress(facts.need_symbol("log_end")), "log_end");
    if (size == 0 || size > most_bytes || (size & (size - 1)) != 0)
        throw CorruptError(fmt::format("the message buffer is damaged: {} bytes at {:#x}", size, buffer));
    uint64_t chars = std::min(end, size);
    if (const auto logged = facts.symbol("logged_chars")) chars = std::min<uint64_t>(space.u32(VirtualAddress(*logged), "logged_chars"), size);
    std::string text;
    std::vector<std::byte> page(4096);
    for (uint64_t i = 0; i < chars;) {
        check_interrupt();
        const uint64_t at = (end - chars + i) & (size - 1);
        const uint64_t n = std::min<uint64_t>({chars - i, size - at, page.size()});
        if (const Fault fault = space.try_read(VirtualAddress(buffer + at), std::span(page).first(n)); fault == Fault::none)
            text.append(reinterpret_cast<const char*>(page.data()), n);
        else log.warnings.push_back(fmt::format("{} bytes of the message buffer are missing: {}", n, describe(fault)));
        i += n;
    }
    for (size_t i = 0; i < text.size();) {
        const size_t line_end = std::min(text.find('\n', i), text.size());
        LogRecord record;
        record.text = text.substr(i, line_end - i);
        if (record.text.size() > 2 && record.text[0] == '<' && record.text.find('>') < 5) {
            const unsigned prefix = static_cast<unsigned>(std::atoi(record.text.c_str() + 1));
            record.level = prefix & 7;
            record.facility = prefix >> 3;
            record.text.erase(0, record.text.find('>') + 1);
        }
        log.records.push_back(std::move(record));
        i = line_end + 1;
    }
}

} // namespace kcrash
