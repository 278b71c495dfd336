// SPDX-License-Identifier: GPL-3.0-or-later
// The message buffer from VMCOREINFO alone: the ring, the records before it, the characters before them.
#include "kernel/printk.hpp"
#include "tests/fixtures/open_fixture.hpp"
#include "tests/fixtures/word_memory.hpp"
#include <doctest/doctest.h>
#include <fmt/format.h>

using namespace kcrash;
using fixtures::error_of;
using fixtures::WordMemory;

namespace {

void put_text(WordMemory& memory, uint64_t at, std::string_view text) {
    for (const char c : text) memory.put(at++, static_cast<unsigned char>(c), 1);
}

// A ring of four descriptors and 64 bytes of text, as kernel/printk/printk_ringbuffer.h lays it out on 64 bits.
struct Ring {
    static constexpr uint64_t prb = 0x1000, ring = 0x2000, descs = 0x3000, infos = 0x4000, data = 0x5000, info_size = 88;
    static constexpr uint64_t committed = uint64_t{1} << 62, finalized = uint64_t{2} << 62, reusable = uint64_t{3} << 62;
    WordMemory memory;

    Ring(uint64_t tail, uint64_t head) {
        memory.put(prb, ring);
        memory.put(ring, 2, 4); // count_bits
        memory.put(ring + 8, descs);
        memory.put(ring + 16, infos);
        memory.put(ring + 24, head);
        memory.put(ring + 32, tail);
        memory.put(ring + 48, 6, 4); // size_bits
        memory.put(ring + 56, data);
    }
    void message(uint64_t id, uint64_t state, uint64_t begin, uint64_t next, std::string_view text, uint64_t block) {
        const uint64_t desc = descs + (id & 3) * 24, info = infos + (id & 3) * info_size;
        memory.put(desc, state | id);
        memory.put(desc + 8, begin);
        memory.put(desc + 16, next);
        memory.put(info, id);
        memory.put(info + 8, id * 1'000'000'000);
        memory.put(info + 16, text.size(), 2);
        memory.put(info + 18, 3, 1);           // facility
        memory.put(info + 19, 6 << 5 | 2, 1);  // level 6, flags 2
        memory.put(info + 20, 0x80000001, 4);  // cpu 1
        put_text(memory, info + 24, "pci");
        put_text(memory, info + 40, "+pci:0000:00:01.0");
        if (text.empty()) return;
        memory.put(data + block, id);
        put_text(memory, data + block + 8, text);
    }
    KernelLog read() const {
        return read_log(memory.space(), VmcoreInfo(fmt::format(
            "SYMBOL(prb)={:x}\nSIZE(printk_ringbuffer)=80\nOFFSET(printk_ringbuffer.desc_ring)=0\nOFFSET(printk_ringbuffer.text_data_ring)=48\n"
            "OFFSET(prb_desc_ring.count_bits)=0\nOFFSET(prb_desc_ring.descs)=8\nOFFSET(prb_desc_ring.infos)=16\nOFFSET(prb_desc_ring.head_id)=24\n"
            "OFFSET(prb_desc_ring.tail_id)=32\nSIZE(prb_desc)=24\nOFFSET(prb_desc.state_var)=0\nOFFSET(prb_desc.text_blk_lpos)=8\n"
            "OFFSET(prb_data_blk_lpos.begin)=0\nOFFSET(prb_data_blk_lpos.next)=8\nSIZE(printk_info)=88\nOFFSET(printk_info.seq)=0\n"
            "OFFSET(printk_info.ts_nsec)=8\nOFFSET(printk_info.text_len)=16\nOFFSET(printk_info.caller_id)=20\nOFFSET(printk_info.dev_info)=24\n"
            "OFFSET(dev_printk_info.subsystem)=0\nOFFSET(dev_printk_info.device)=16\nOFFSET(prb_data_ring.size_bits)=0\nOFFSET(prb_data_ring.data)=8\n", prb)));
    }
};

} // namespace

TEST_CASE("printk ring: a message has its number, time, level, facility, caller and device") {
    Ring ring(5, 5);
    ring.message(5, Ring::finalized, 64, 88, "hello", 0);
    const KernelLog log = ring.read();
    REQUIRE(log.records.size() == 1);
    const LogRecord& record = log.records[0];
    CHECK(record.text == "hello");
    CHECK(record.sequence == 5);
    CHECK(record.nanoseconds == 5'000'000'000);
    CHECK(record.level == 6);
    CHECK(record.facility == 3);
    CHECK(record.caller == 0x80000001);
    CHECK(record.dictionary == std::vector<std::string>{"SUBSYSTEM=pci", "DEVICE=+pci:0000:00:01.0"});
}

TEST_CASE("printk ring: a block that would cross the end begins at index 0") {
    Ring ring(8, 8);
    ring.message(8, Ring::committed, 56, 64 + 24, "over the end", 0);
    CHECK(ring.read().records.at(0).text == "over the end");
}

TEST_CASE("printk ring: a block may end at the very end") {
    Ring ring(8, 8);
    ring.message(8, Ring::finalized, 40, 64, "to the end", 40);
    CHECK(ring.read().records.at(0).text == "to the end");
}

TEST_CASE("printk ring: messages that are being written, are old, or are reused are left out") {
    Ring ring(4, 7);
    ring.message(4, Ring::reusable, 0, 24, "reused", 0);
    ring.message(5, 0, 0, 24, "reserved", 0);
    ring.message(2, Ring::finalized, 0, 24, "of an earlier round", 0); // stands where 6 should
    ring.message(7, Ring::finalized, 64, 88, "here", 0);
    const KernelLog log = ring.read();
    REQUIRE(log.records.size() == 1);
    CHECK(log.records[0].text == "here");
}

TEST_CASE("printk ring: an empty line is a message without text") {
    Ring ring(5, 5);
    ring.message(5, Ring::finalized, 3, 3, "", 0);
    const KernelLog log = ring.read();
    REQUIRE(log.records.size() == 1);
    CHECK(log.records[0].text.empty());
    CHECK(log.records[0].lost.empty());
}

TEST_CASE("printk ring: text that was overwritten or is damaged is said to be lost") {
    Ring ring(5, 6);
    ring.message(5, Ring::finalized, 64, 88, "mine", 0);
    ring.memory.put(Ring::data, 9); // the block now is message 9's
    ring.message(6, Ring::finalized, 96, 300, "too long", 32);
    const KernelLog log = ring.read();
    REQUIRE(log.records.size() == 2);
    CHECK(log.records[0].lost == "it was overwritten");
    CHECK(log.records[1].lost == "its place in the ring is damaged");
}

TEST_CASE("printk ring: a text page that is excluded keeps the message, with the reason") {
    Ring ring(5, 5);
    ring.message(5, Ring::finalized, 64, 88, "hello", 0);
    ring.memory.put(Ring::ring + 56, 0x9000); // nothing is there
    const KernelLog log = ring.read();
    REQUIRE(log.records.size() == 1);
    CHECK(log.records[0].lost == describe(Fault::excluded));
    CHECK(log.records[0].nanoseconds == 5'000'000'000);
}

TEST_CASE("printk ring: an impossible size is refused") {
    Ring ring(5, 5);
    ring.memory.put(Ring::ring, 63, 4);
    CHECK(error_of([&] { ring.read(); }) == "the message ring at 0x2000 is damaged: 2^63 messages in 2^6 bytes");
}

TEST_CASE("printk records: from log_first_idx over the end to log_next_idx") {
    WordMemory memory;
    constexpr uint64_t buffer = 0x3000;
    memory.put(0x1000, buffer);
    memory.put(0x1008, 128, 4);
    memory.put(0x100c, 64, 4);  // first
    memory.put(0x1010, 32, 4);  // next
    const auto record = [&](uint64_t at, uint64_t time, std::string_view text, std::string_view dictionary) {
        memory.put(buffer + at, time);
        memory.put(buffer + at + 8, 32, 2);
        memory.put(buffer + at + 10, text.size(), 2);
        memory.put(buffer + at + 12, dictionary.size(), 2);
        memory.put(buffer + at + 14, 0, 1);
        memory.put(buffer + at + 15, 4 << 5, 1);
        put_text(memory, buffer + at + 16, text);
        put_text(memory, buffer + at + 16 + text.size(), dictionary);
    };
    record(64, 1000, "first", {});
    memory.put(buffer + 96 + 8, 0, 2); // go on at the start
    record(0, 2000, "second", "DEVICE=x");
    const VmcoreInfo info("SYMBOL(log_buf)=1000\nSYMBOL(log_buf_len)=1008\nSYMBOL(log_first_idx)=100c\nSYMBOL(log_next_idx)=1010\n"
                          "SIZE(printk_log)=16\nOFFSET(printk_log.ts_nsec)=0\nOFFSET(printk_log.len)=8\nOFFSET(printk_log.text_len)=10\nOFFSET(printk_log.dict_len)=12\n");
    const KernelLog log = read_log(memory.space(), info);
    REQUIRE(log.records.size() == 2);
    CHECK(log.records[0].text == "first");
    CHECK(log.records[0].level == 4);
    CHECK(log.records[1].text == "second");
    CHECK(log.records[1].dictionary == std::vector<std::string>{"DEVICE=x"});
}

TEST_CASE("printk records: records that go round for ever end with a warning") {
    WordMemory memory;
    constexpr uint64_t buffer = 0x3000;
    memory.put(0x1000, buffer);
    memory.put(0x1008, 64, 4);
    memory.put(0x100c, 0, 4);
    memory.put(0x1010, 7, 4); // no record begins there
    memory.put(buffer + 8, 32, 2);
    memory.put(buffer + 32 + 8, 0, 2);
    const VmcoreInfo info("SYMBOL(log_buf)=1000\nSYMBOL(log_buf_len)=1008\nSYMBOL(log_first_idx)=100c\nSYMBOL(log_next_idx)=1010\n"
                          "SIZE(printk_log)=16\nOFFSET(printk_log.ts_nsec)=0\nOFFSET(printk_log.len)=8\nOFFSET(printk_log.text_len)=10\nOFFSET(printk_log.dict_len)=12\n");
    const KernelLog log = read_log(memory.space(), info);
    CHECK(log.records.size() == 2);
    CHECK(log.warnings == std::vector<std::string>{"the message at 0x3020 is damaged: what follows is missing"});
}

TEST_CASE("printk characters: the ring of characters before Linux 3.5, with levels") {
    WordMemory memory;
    memory.put(0x1000, 0x2000);
    memory.put(0x1008, 32, 4);
    memory.put(0x100c, 40, 4); // log_end: eight characters were overwritten
    memory.put(0x1010, 32, 4); // logged_chars
    put_text(memory, 0x2000, "o\n<4>two");
    put_text(memory, 0x2008, "\n<6>one goes round hell");
    memory.put(0x201f, 'o', 1);
    const VmcoreInfo info("SYMBOL(log_buf)=1000\nSYMBOL(log_buf_len)=1008\nSYMBOL(log_end)=100c\nSYMBOL(logged_chars)=1010\n");
    const KernelLog log = read_log(memory.space(), info);
    CHECK(!log.has_records);
    REQUIRE(log.records.size() == 3);
    CHECK(log.records[1].text == "one goes round helloo");
    CHECK(log.records[1].level == 6);
    CHECK(log.records[2].text == "two");
}

TEST_CASE("printk: without VMCOREINFO, or without the symbols, the message says what is missing") {
    const WordMemory memory;
    CHECK(error_of([&] { read_log(memory.space(), VmcoreInfo("")); }) ==
          "the dump has no VMCOREINFO, which --log needs; give the kernel's vmlinux instead");
    CHECK(error_of([&] { read_log(memory.space(), VmcoreInfo("OSRELEASE=6.1\n")); }) ==
          "the message buffer cannot be found: none of the symbols prb, log_next_idx, log_end is known");
}
