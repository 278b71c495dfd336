// SPDX-License-Identifier: GPL-3.0-or-later
// Every format with every number of its headers at its extremes, with files that shrink while they are open, and with reads that
// fail. Each opens with what is right, or is refused with a message that begins with the file's name; pages are right or a fault.
#include "core/error.hpp"
#include "tests/fixtures/every_format.hpp"
#include "tests/fixtures/memory_text.hpp"
#include "tests/fixtures/temporary_file.hpp"
#include <algorithm>
#include <atomic>
#include <doctest/doctest.h>

using namespace kcrash;
using namespace kcrash::fixtures;

namespace {

// Reads some pages and everything else that a dump tells. The number of pages that could be read.
unsigned use(const Dump& dump) {
    std::vector<std::byte> page(dump.info().page_size);
    unsigned read = 0;
    for (uint64_t frame = 0; frame < 0x48; ++frame) {
        read += dump.try_read_page(PageFrame(frame), page) == Fault::none;
        (void)dump.file_offset(PageFrame(frame));
    }
    for (const uint64_t frame : {uint64_t{1} << 20, uint64_t{1} << 40, uint64_t{1} << 52, UINT64_MAX}) {
        (void)dump.try_read_page(PageFrame(frame), page);
        (void)dump.file_offset(PageFrame(frame));
    }
    uint64_t before = 0;
    for (const PhysicalRange& range : dump.memory()) {
        CHECK(range.begin.value >= before);
        CHECK(range.begin < range.end);
        before = range.end.value;
    }
    return read;
}

// Bytes in memory, of which reads at or behind a place fail, or that end there, from the n-th read on.
class FailingSource final : public ByteSource {
public:
    enum class Kind { io, shrunk };
    FailingSource(const std::vector<std::byte>& bytes, Kind kind, uint64_t from, uint64_t reads)
        : bytes_(bytes), kind_(kind), from_(from), reads_(reads) {}
    Fault try_read(FileOffset at, std::span<std::byte> into) const override {
        if (at.value > bytes_.size() || into.size() > bytes_.size() - at.value) return Fault::truncated;
        if (done_++ >= reads_ && at.value + into.size() > from_) return kind_ == Kind::io ? Fault::io : Fault::truncated;
        std::copy_n(bytes_.begin() + static_cast<std::ptrdiff_t>(at.value), into.size(), into.begin());
        return Fault::none;
    }
    uint64_t size() const override { return bytes_.size(); }
    const std::string& path() const override { return path_; }
    uint64_t done() const { return done_; }

private:
    const std::vector<std::byte>& bytes_;
    Kind kind_;
    uint64_t from_, reads_;
    mutable std::atomic<uint64_t> done_ = 0;
    std::string path_ = "FILE";
};

const DumpFormat* format_of(const std::vector<std::byte>& bytes) {
    for (const DumpFormat* format : dump_formats())
        if (format->probe(std::span(bytes).first(std::min<size_t>(bytes.size(), 8192))) == Probe::mine) return format;
    return nullptr;
}

} // namespace

TEST_CASE("spoiled dumps: every sample opens, and is what it is called") {
    for (const FormatSample& sample : samples_of_every_format()) {
        CAPTURE(sample.name);
        const TemporaryFile file(sample.bytes);
        const auto dump = open_dump({file.path()});
        CHECK_MESSAGE(use(*dump) >= 3, dump->info().format);
        CHECK_FALSE(dump->info().truncated);
    }
}

TEST_CASE("spoiled dumps: each number of each header at 0, 1, its largest, negative and wrapping") {
    for (const FormatSample& sample : samples_of_every_format()) {
        CAPTURE(sample.name);
        const uint64_t size = sample.bytes.size();
        const uint64_t values[] = {0,
                                   1,
                                   2,
                                   7,
                                   0x7f,
                                   0xff,
                                   0xfff,
                                   4096,
                                   0x7fff,
                                   0xffff,
                                   0x7fffffff,
                                   0xfffffff0,
                                   0xffffffff,
                                   uint64_t{1} << 32,
                                   INT64_MAX,
                                   uint64_t{1} << 63,
                                   UINT64_MAX,
                                   UINT64_MAX - 4095,
                                   UINT64_MAX - size,
                                   size,
                                   size - 1,
                                   size + 1};
        for (const auto& [begin, end] : sample.fields)
            for (size_t at = begin; at + 4 <= end; at += 4)
                for (const size_t width : {size_t{4}, size_t{8}})
                    for (const uint64_t value : values) {
                        if (width == 4 && value > UINT32_MAX) continue;
                        auto bytes = sample.bytes;
                        for (size_t i = 0; i < width && at + i < bytes.size(); ++i)
                            bytes[at + i] =
                                static_cast<std::byte>(value >> (sample.order == ByteOrder::little ? i : width - 1 - i) * 8);
                        const auto source = std::make_shared<FailingSource>(bytes, FailingSource::Kind::io, size, UINT64_MAX);
                        const DumpFormat* format = format_of(bytes);
                        if (!format) continue;
                        try {
                            use(*format->open({source}));
                        } catch (const Error& error) {
                            CAPTURE(at);
                            CAPTURE(value);
                            CHECK_MESSAGE(std::string_view(error.what()).starts_with("FILE"), error.what());
                        }
                    }
    }
}

TEST_CASE("spoiled dumps: a read that fails anywhere, or a file that shrinks, is a fault or a refusal, and never zeroes") {
    for (const FormatSample& sample : samples_of_every_format()) {
        const DumpFormat* format = format_of(sample.bytes);
        if (!format) continue; // flattened: below
        CAPTURE(sample.name);
        const auto whole = std::make_shared<FailingSource>(sample.bytes, FailingSource::Kind::io, 0, UINT64_MAX);
        const auto good = format->open({whole});
        const uint64_t reads = whole->done();
        std::vector<std::byte> page(good->info().page_size), other(good->info().page_size);
        for (const auto kind : {FailingSource::Kind::io, FailingSource::Kind::shrunk})
            for (uint64_t n = 0; n <= reads + 3; ++n) {
                const auto source = std::make_shared<FailingSource>(sample.bytes, kind, 0, n);
                try {
                    const auto dump = format->open({source});
                    if (dump->info().page_size != page.size()) continue; // VMCOREINFO could not be read
                    for (uint64_t frame = 0; frame < 0x48; ++frame) {
                        if (dump->try_read_page(PageFrame(frame), page) != Fault::none) continue;
                        CHECK(good->try_read_page(PageFrame(frame), other) == Fault::none);
                        CHECK(page == other);
                    }
                    (void)dump->memory();
                } catch (const Error& error) { CHECK_MESSAGE(std::string_view(error.what()).starts_with("FILE"), error.what()); }
            }
    }
}

TEST_CASE("spoiled dumps: a file cut anywhere opens with right pages, or is refused") {
    for (const FormatSample& sample : samples_of_every_format()) {
        CAPTURE(sample.name);
        const TemporaryFile whole(sample.bytes);
        const auto good = open_dump({whole.path()});
        std::vector<std::byte> page(good->info().page_size), other(good->info().page_size);
        const size_t step = sample.bytes.size() / 150 + 1;
        for (size_t size = 1; size < sample.bytes.size(); size += step) {
            const TemporaryFile file(std::span(sample.bytes).first(size));
            try {
                const auto dump = open_dump({file.path()});
                if (dump->info().page_size != page.size()) continue;
                for (uint64_t frame = 0; frame < 0x48; ++frame) {
                    if (dump->try_read_page(PageFrame(frame), page) != Fault::none) continue;
                    CHECK(good->try_read_page(PageFrame(frame), other) == Fault::none);
                    CHECK(page == other);
                }
            } catch (const Error& error) { CHECK_MESSAGE(std::string_view(error.what()).starts_with(file.path()), error.what()); }
        }
    }
}
