// SPDX-License-Identifier: GPL-3.0-or-later
// What every driver of a dump format does with the bytes that the fuzzer made.
#pragma once
#include "core/dump/dump.hpp"
#include "core/error.hpp"
#include <algorithm>
#include <cstdlib>

namespace kcrash {

// A file in memory, which the fuzzer owns.
class FuzzSource final : public ByteSource {
public:
    explicit FuzzSource(std::span<const std::byte> bytes) : bytes_(bytes) {}
    Fault try_read(FileOffset at, std::span<std::byte> into) const override {
        if (at.value > bytes_.size() || into.size() > bytes_.size() - at.value) return Fault::truncated;
        std::copy_n(bytes_.begin() + static_cast<std::ptrdiff_t>(at.value), into.size(), into.begin());
        return Fault::none;
    }
    uint64_t size() const override { return bytes_.size(); }
    const std::string& path() const override { return path_; }

private:
    std::span<const std::byte> bytes_;
    std::string path_ = "FILE";
};

// Reads the first pages, some far ones and the last, and everything else that the dump tells.
inline void use_dump(const Dump& dump) {
    std::vector<std::byte> page(dump.info().page_size);
    const auto use = [&](uint64_t frame) {
        (void)dump.try_read_page(PageFrame(frame), page);
        (void)dump.file_offset(PageFrame(frame));
    };
    for (uint64_t frame = 0; frame < 64; ++frame) use(frame);
    for (unsigned shift = 6; shift < 64; ++shift) use((uint64_t{1} << shift) + 1);
    use(dump.info().max_frame - 1);
    use(UINT64_MAX);
    uint64_t before = 0;
    for (const PhysicalRange& range : dump.memory()) {
        if (range.begin.value < before || range.end <= range.begin)
            std::abort(); // ascending and not empty, whatever the file says
        before = range.end.value;
        use(range.begin.value / dump.info().page_size);
    }
}

// One input: opened as this format whatever its magic number, and used.
inline int fuzz_format(const DumpFormat& format, const uint8_t* data, size_t size) {
    const auto bytes = std::as_bytes(std::span(data, size));
    if (format.probe(bytes.first(std::min<size_t>(size, 8192))) != Probe::mine) return -1; // not kept in the corpus
    try {
        use_dump(*format.open({std::make_shared<FuzzSource>(bytes)}));
    } catch (const Error&) {}
    return 0;
}

} // namespace kcrash
