// SPDX-License-Identifier: GPL-3.0-or-later
// Counting, looking up and listing the bits of a bitmap.
#include "core/dump/frame_bitmap.hpp"
#include "core/bytes.hpp"
#include "core/interrupt.hpp"
#include <algorithm>
#include <bit>

namespace kcrash {
namespace {

constexpr uint64_t line_bits = 512, line_bytes = line_bits / 8;
constexpr uint64_t part_bits = uint64_t{1} << 31;
constexpr uint64_t chunk_bytes = uint64_t{1} << 20;
constexpr uint64_t keep_bytes = uint64_t{64} << 20; // 2 TiB of 4 kB pages

uint64_t bytes_for(uint64_t frames) { return frames / 8 + (frames % 8 != 0); }

// Clears the bits of the last byte that are not part of the bitmap.
void trim(std::span<std::byte> last_bytes, uint64_t frames) {
    if (frames % 8 != 0) last_bytes.back() &= static_cast<std::byte>((1u << (frames % 8)) - 1);
}

// The word that starts at `at`, short of bytes at the end of the bitmap.
uint64_t word_at(std::span<const std::byte> bytes, uint64_t at) {
    if (bytes.size() - at >= 8) return load<uint64_t>(bytes.data() + at, ByteOrder::little);
    return load_unsigned(bytes.subspan(at), ByteOrder::little);
}

uint64_t popcount(std::span<const std::byte> bytes) {
    uint64_t count = 0;
    for (uint64_t at = 0; at < bytes.size(); at += 8) count += static_cast<uint64_t>(std::popcount(word_at(bytes, at)));
    return count;
}

} // namespace

FrameBitmap::FrameBitmap(std::shared_ptr<const ByteSource> file, FileOffset at, uint64_t frames)
    : file_(std::move(file)), at_(at), frames_(frames) {
    const uint64_t size = bytes_for(frames);
    if (at.value > file_->size() || size > file_->size() - at.value) // also refuses before anything is allocated
        (void)file_->read(at, size);
    lines_.reserve(size / line_bytes + 1);
    if (size <= keep_bytes) {
        bits_ = file_->read(at, size);
        trim(bits_, frames);
        count_lines(bits_);
        return;
    }
    std::vector<std::byte> chunk(chunk_bytes);
    for (uint64_t done = 0; done < size; done += chunk.size()) {
        check_interrupt();
        chunk.resize(std::min(chunk_bytes, size - done));
        file_->read(at + done, std::span(chunk));
        if (done + chunk.size() == size) trim(chunk, frames);
        count_lines(chunk);
    }
}

void FrameBitmap::count_lines(std::span<const std::byte> bytes) {
    for (uint64_t at = 0; at < bytes.size(); at += line_bytes) {
        if (lines_.size() % (part_bits / line_bits) == 0) parts_.push_back(count_);
        lines_.push_back(static_cast<uint32_t>(count_ - parts_.back()));
        count_ += popcount(bytes.subspan(at, std::min(line_bytes, bytes.size() - at)));
    }
}

Fault FrameBitmap::try_line(uint64_t line, Line& into) const {
    const uint64_t begin = line * line_bytes;
    const uint64_t length = std::min(line_bytes, bytes_for(frames_) - begin);
    std::fill(std::begin(into), std::end(into), std::byte{0});
    if (bits_.empty()) return file_->try_read(at_ + begin, std::span(into, length));
    std::copy_n(bits_.begin() + static_cast<std::ptrdiff_t>(begin), length, into);
    return Fault::none;
}

Fault FrameBitmap::try_find(PageFrame frame, Answer& answer) const {
    answer = {false, count_};
    if (frame.value >= frames_) return Fault::none;
    const uint64_t line = frame.value / line_bits;
    Line bytes;
    if (const Fault fault = try_line(line, bytes); fault != Fault::none) return fault;
    answer.rank = parts_[frame.value / part_bits] + lines_[line];
    const uint64_t bit = frame.value % line_bits;
    for (uint64_t word = 0; word < bit / 64; ++word)
        answer.rank += static_cast<uint64_t>(std::popcount(load<uint64_t>(bytes + word * 8, ByteOrder::little)));
    const uint64_t word = load<uint64_t>(bytes + bit / 64 * 8, ByteOrder::little);
    answer.rank += static_cast<uint64_t>(std::popcount(word & ((uint64_t{1} << bit % 64) - 1)));
    answer.set = word >> bit % 64 & 1;
    return Fault::none;
}

std::vector<std::pair<uint64_t, uint64_t>> bitmap_runs(const ByteSource& file, FileOffset at, uint64_t frames, size_t limit) {
    std::vector<std::pair<uint64_t, uint64_t>> runs;
    const uint64_t size = bytes_for(frames);
    std::vector<std::byte> chunk;
    uint64_t start = 0;
    bool in_run = false;
    for (uint64_t done = 0; done < size; done += chunk.size()) {
        check_interrupt();
        chunk.resize(std::min(chunk_bytes, size - done));
        file.read(at + done, std::span(chunk));
        if (done + chunk.size() == size) trim(chunk, frames);
        for (uint64_t i = 0; i < chunk.size(); i += 8) {
            const uint64_t word = word_at(chunk, i);
            if (word == (in_run ? ~uint64_t{0} : 0)) continue;
            for (uint64_t bit = 0; bit < 64; ++bit) {
                const bool set = word >> bit & 1;
                if (set == in_run) continue;
                const uint64_t frame = (done + i) * 8 + bit;
                in_run = set;
                if (set) {
                    start = frame;
                    if (runs.size() + 1 == limit) return runs.emplace_back(start, frames), runs;
                } else runs.emplace_back(start, frame);
            }
        }
    }
    if (in_run) runs.emplace_back(start, frames);
    return runs;
}

} // namespace kcrash
