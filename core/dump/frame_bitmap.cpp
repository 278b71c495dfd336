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
constexpr uint64_t part_lines = part_bits / line_bits;
constexpr uint64_t chunk_bytes = uint64_t{1} << 20;
constexpr uint64_t keep_bytes = uint64_t{64} << 20; // 2 TiB of 4 kB pages

uint64_t bytes_for(uint64_t frames) { return frames / 8 + (frames % 8 != 0); }

// A word with the bits of each of its bytes turned around.
uint64_t turned(uint64_t word) {
    word = (word >> 1 & 0x5555555555555555u) | (word & 0x5555555555555555u) << 1;
    word = (word >> 2 & 0x3333333333333333u) | (word & 0x3333333333333333u) << 2;
    return (word >> 4 & 0x0f0f0f0f0f0f0f0fu) | (word & 0x0f0f0f0f0f0f0f0fu) << 4;
}

// Makes bytes of the file, which start at `done` of the bitmap, bits from the lowest: a byte that is only partly of the bitmap
// loses the rest.
void straighten(const BitmapPlace& place, uint64_t done, std::span<std::byte> bytes) {
    if (place.order == BitOrder::high_first)
        for (std::byte& byte : bytes) byte = static_cast<std::byte>(turned(static_cast<uint8_t>(byte)));
    if (done + bytes.size() == bytes_for(place.frames) && place.frames % 8 != 0)
        bytes.back() &= static_cast<std::byte>((1u << (place.frames % 8)) - 1);
}

// The word that starts at `at`, short of bytes at the end of the bitmap.
uint64_t word_at(std::span<const std::byte> bytes, uint64_t at) {
    if (bytes.size() - at >= 8) return load<uint64_t>(bytes.data() + at, ByteOrder::little);
    return load_unsigned(bytes.subspan(at), ByteOrder::little);
}

// Calls use(offset, bytes) for the bitmap's bytes in ascending pieces; holes of the file are left out.
template <typename Use> void for_each_chunk(const BitmapPlace& place, Use use) {
    const uint64_t size = bytes_for(place.frames);
    std::vector<std::byte> chunk;
    for (uint64_t done = 0; done < size; done += chunk.size()) {
        check_interrupt();
        const uint64_t data = place.file->next_data(place.at + done) - place.at;
        if (data >= size) return;
        if (data > done) done = data / line_bytes * line_bytes;
        chunk.resize(std::min(chunk_bytes, size - done));
        place.file->read(place.at + done, std::span(chunk));
        straighten(place, done, chunk);
        if (!use(done, std::span<const std::byte>(chunk))) return;
    }
}

// The set bits of a whole line; compiled twice where the machine's own instruction makes it ten times as quick.
inline __attribute__((always_inline)) uint32_t line_count(const std::byte* line) {
    uint64_t words[line_bytes / 8];
    std::memcpy(words, line, line_bytes);
    int count = 0;
    for (const uint64_t word : words) count += std::popcount(word);
    return static_cast<uint32_t>(count);
}

void count_plainly(const std::byte* line, size_t lines, uint32_t* counts) {
    for (size_t i = 0; i < lines; ++i) counts[i] = line_count(line + i * line_bytes);
}

#if defined(__x86_64__)
__attribute__((target("popcnt"))) void count_quickly(const std::byte* line, size_t lines, uint32_t* counts) {
    for (size_t i = 0; i < lines; ++i) counts[i] = line_count(line + i * line_bytes);
}
const bool has_instruction = __builtin_cpu_supports("popcnt");
#else
constexpr auto count_quickly = count_plainly;
constexpr bool has_instruction = false;
#endif

} // namespace

FrameBitmap::FrameBitmap(BitmapPlace place) : place_(std::move(place)) {
    const uint64_t size = bytes_for(place_.frames);
    const uint64_t file_size = place_.file->size();
    if (place_.at.value > file_size || size > file_size - place_.at.value) // refuses before anything is allocated
        (void)place_.file->read(place_.at, size);
    parts_.resize((place_.frames + part_bits - 1) / part_bits);
    if (size <= keep_bytes) {
        bits_ = place_.file->read(place_.at, size);
        straighten(place_, 0, bits_);
        count_lines(0, bits_);
    } else
        for_each_chunk(place_, [this](uint64_t done, std::span<const std::byte> bytes) {
            count_lines(done / line_bytes, bytes);
            return true;
        });
    // What lies behind the last set bit of a part, and the parts without any.
    uint64_t before = 0;
    for (Part& part : parts_) {
        if (part.lines.empty()) part.before = before;
        else before = part.before + part.lines.back();
    }
}

// Adds what a piece of the bitmap holds. The lines of a part are one more than it has: the last is the part's whole count.
void FrameBitmap::count_lines(uint64_t first_line, std::span<const std::byte> bytes) {
    constexpr size_t at_once = 4096;
    uint32_t counts[at_once];
    for (uint64_t done = 0; done < bytes.size(); done += at_once * line_bytes) {
        const auto piece = bytes.subspan(done, std::min<uint64_t>(at_once * line_bytes, bytes.size() - done));
        const size_t whole = piece.size() / line_bytes, all = whole + (piece.size() % line_bytes != 0);
        (has_instruction ? count_quickly : count_plainly)(piece.data(), whole, counts);
        if (all > whole) {
            Line last{};
            std::copy(piece.begin() + static_cast<std::ptrdiff_t>(whole * line_bytes), piece.end(), last);
            counts[whole] = line_count(last);
        }
        for (size_t i = 0; i < all; ++i) {
            if (counts[i] == 0) continue;
            const uint64_t line = first_line + done / line_bytes + i;
            Part& part = parts_[line / part_lines];
            if (part.lines.empty()) {
                part.before = count_;
                part.lines.reserve(std::min(part_lines, bytes_for(place_.frames) / line_bytes + 1) + 1);
            }
            // Lines without a bit that were passed over begin with the same count as this one.
            part.lines.resize(line % part_lines + 1, static_cast<uint32_t>(count_ - part.before));
            count_ += counts[i];
            part.lines.push_back(static_cast<uint32_t>(count_ - part.before));
        }
    }
}

Fault FrameBitmap::try_line(uint64_t line, Line& into) const {
    const uint64_t begin = line * line_bytes;
    const uint64_t length = std::min(line_bytes, bytes_for(place_.frames) - begin);
    std::fill(std::begin(into), std::end(into), std::byte{0});
    if (!bits_.empty()) {
        std::copy_n(bits_.begin() + static_cast<std::ptrdiff_t>(begin), length, into);
        return Fault::none;
    }
    const Fault fault = place_.file->try_read(place_.at + begin, std::span(into, length));
    if (fault == Fault::none) straighten(place_, begin, std::span(into, length));
    return fault;
}

Fault FrameBitmap::try_find(PageFrame frame, Answer& answer) const {
    answer = {false, count_};
    if (frame.value >= place_.frames) return Fault::none;
    const Part& part = parts_[frame.value / part_bits];
    const uint64_t line = frame.value / line_bits;
    answer.rank = part.before;
    if (part.lines.empty()) return Fault::none;
    const uint64_t known = std::min<uint64_t>(line % part_lines, part.lines.size() - 1);
    answer.rank += part.lines[known];
    if (known + 1 == part.lines.size()) return Fault::none; // behind the last set bit of the part
    Line bytes;
    if (const Fault fault = try_line(line, bytes); fault != Fault::none) return fault;
    const uint64_t bit = frame.value % line_bits;
    for (uint64_t word = 0; word < bit / 64; ++word)
        answer.rank += static_cast<uint64_t>(std::popcount(load<uint64_t>(bytes + word * 8, ByteOrder::little)));
    const uint64_t word = load<uint64_t>(bytes + bit / 64 * 8, ByteOrder::little);
    answer.rank += static_cast<uint64_t>(std::popcount(word & ((uint64_t{1} << bit % 64) - 1)));
    answer.set = word >> bit % 64 & 1;
    return Fault::none;
}

namespace {

// Collects runs from words of bits that come in ascending order.
class RunCollector {
public:
    RunCollector(uint64_t frames, size_t limit) : frames_(frames), limit_(limit) {}
    // False when there are as many runs as may be.
    bool add(uint64_t first_frame, uint64_t word) {
        if (in_run_ && first_frame != next_) end_run(next_); // a hole of the file
        next_ = first_frame + 64;
        if (word == (in_run_ ? ~uint64_t{0} : 0)) return true;
        for (uint64_t bit = 0; bit < 64; ++bit) {
            const bool set = word >> bit & 1;
            if (set == in_run_) continue;
            if (!set) {
                end_run(first_frame + bit);
                continue;
            }
            in_run_ = true;
            start_ = first_frame + bit;
            if (runs_.size() + 1 == limit_) return false;
        }
        return true;
    }
    std::vector<std::pair<uint64_t, uint64_t>> finish() {
        if (in_run_) end_run(runs_.size() + 1 == limit_ ? frames_ : std::min(next_, frames_));
        return std::move(runs_);
    }

private:
    void end_run(uint64_t end) {
        in_run_ = false;
        runs_.emplace_back(start_, end);
    }
    uint64_t frames_;
    size_t limit_;
    std::vector<std::pair<uint64_t, uint64_t>> runs_;
    uint64_t start_ = 0, next_ = 0;
    bool in_run_ = false;
};

} // namespace

std::vector<std::pair<uint64_t, uint64_t>> bitmap_runs(const BitmapPlace& place, size_t limit) {
    RunCollector runs(place.frames, limit);
    for_each_chunk(place, [&runs](uint64_t done, std::span<const std::byte> bytes) {
        for (uint64_t i = 0; i < bytes.size(); i += 8)
            if (!runs.add((done + i) * 8, word_at(bytes, i))) return false;
        return true;
    });
    return runs.finish();
}

} // namespace kcrash
