// SPDX-License-Identifier: GPL-3.0-or-later
// The bytes that a fuzzer made, as a file, and what is asked of every file and every dump.
#pragma once
#include "core/dump/dump.hpp"
#include <algorithm>

namespace kcrash::fuzz {

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

// Reads the first pages, some far ones and the last, and everything else that the dump tells. Aborts when its ranges of memory do
// not ascend.
void use_dump(const Dump& dump);
// Reads the first 200 kB, piece by piece, its middle and its end, and asks for its holes.
void use_file(const ByteSource& file);

} // namespace kcrash::fuzz
