// SPDX-License-Identifier: GPL-3.0-or-later
// dump_scale make KIND FILE: writes a dump of a very large machine, as a sparse file. KIND is
//     alternating    16 TiB of RAM, kdump-compressed; every second page is in the dump
//     random         the same with random bits
//     full           the same with every page
//     flattened      10 million records of 80 bytes in random order, that hold a kdump-compressed dump
// dump_scale read FILE: opens it and prints seconds, peak memory and the time of a random page read.
//
// Of the two thousand million pages of the large dumps 2,000 have a descriptor and data; their frames follow from the seed. The
// others have descriptors of zeroes: a hole in the file.
#include "core/bytes.hpp"
#include "core/dump/dump.hpp"
#include "core/dump/frame_bitmap.hpp"
#include "core/error.hpp"
#include <algorithm>
#include <chrono>
#include <cstring>
#include <fcntl.h>
#include <fmt/format.h>
#include <numeric>
#include <random>
#include <sys/resource.h>
#include <unistd.h>

using namespace kcrash;

namespace {

constexpr uint64_t block = 4096, frames = uint64_t{1} << 32, samples = 2000;

class Out {
public:
    explicit Out(const char* path) : fd_(::open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600)) {
        if (fd_ < 0) throw FileError(fmt::format("{}: {}", path, std::strerror(errno)));
    }
    ~Out() { ::close(fd_); }
    Out(const Out&) = delete;
    Out& operator=(const Out&) = delete;
    void put(uint64_t at, std::span<const std::byte> bytes) {
        while (!bytes.empty()) {
            const ssize_t n = ::pwrite(fd_, bytes.data(), bytes.size(), static_cast<off_t>(at));
            if (n <= 0) throw FileError("cannot write");
            bytes = bytes.subspan(static_cast<size_t>(n));
            at += static_cast<uint64_t>(n);
        }
    }
    template <typename T> void number(uint64_t at, T value) { put(at, std::as_bytes(std::span(&value, 1))); }
    void text(uint64_t at, std::string_view text) { put(at, std::as_bytes(std::span(text))); }
    void resize(uint64_t size) {
        if (::ftruncate(fd_, static_cast<off_t>(size)) != 0) throw FileError("cannot resize");
    }

private:
    int fd_;
};

struct Bits {
    std::string_view kind;
    std::mt19937_64 random{1};
    uint64_t next() { return kind == "alternating" ? 0x5555555555555555 : kind == "full" ? ~uint64_t{0} : random(); }
};

void put_headers(Out& out, uint64_t machine_frames, uint64_t bitmap_blocks) {
    out.text(0, "KDUMP   ");
    out.number<uint32_t>(8, 6);
    out.text(12, "Linux");
    out.text(12 + 65 * 2, "6.1.0-scale");
    out.text(12 + 65 * 4, "x86_64");
    out.number<uint32_t>(424, 0);
    out.number<uint32_t>(428, block);
    out.number<uint32_t>(432, 1);
    out.number<uint32_t>(436, static_cast<uint32_t>(2 * bitmap_blocks));
    out.number<uint32_t>(440, static_cast<uint32_t>(std::min<uint64_t>(machine_frames, UINT32_MAX)));
    out.number<uint32_t>(460, 1);
    out.number<uint32_t>(block + 8, 31); // dump level
    const std::string_view info = "OSRELEASE=6.1.0-scale\nPAGESIZE=4096\n";
    out.text(block + 200, info);
    out.number<uint64_t>(block + 32, block + 200);
    out.number<uint64_t>(block + 40, info.size());
    out.number<uint64_t>(block + 96, machine_frames);
}

// The frames that have data, ascending.
std::vector<uint64_t> sample_frames() {
    std::mt19937_64 random(2);
    std::vector<uint64_t> chosen(samples);
    for (uint64_t& frame : chosen) frame = random() % frames & ~uint64_t{63};
    std::sort(chosen.begin(), chosen.end());
    chosen.erase(std::unique(chosen.begin(), chosen.end()), chosen.end());
    return chosen;
}

// Each sample is the first set bit at or behind its frame; its page begins with the frame's number.
void make_large(std::string_view kind, const char* path) {
    Out out(path);
    const uint64_t bitmap_blocks = frames / 8 / block, first = 2 * block, second = first + bitmap_blocks * block;
    const uint64_t descriptors = second + bitmap_blocks * block;
    put_headers(out, frames, bitmap_blocks);
    const auto chosen = sample_frames();
    std::vector<uint64_t> words(1 << 17);
    uint64_t rank = 0, sample = 0, data = descriptors + frames * 24;
    Bits exists{kind}, dumped{kind};
    for (uint64_t frame = 0; frame < frames; frame += words.size() * 64) {
        std::generate(words.begin(), words.end(), [&] { return exists.next(); });
        out.put(first + frame / 8, std::as_bytes(std::span(words)));
        std::generate(words.begin(), words.end(), [&] { return dumped.next(); });
        out.put(second + frame / 8, std::as_bytes(std::span(words)));
        for (uint64_t i = 0; i < words.size(); ++i) {
            if (sample < chosen.size() && chosen[sample] == frame + i * 64 && words[i] != 0) {
                const uint64_t found = frame + i * 64 + static_cast<uint64_t>(std::countr_zero(words[i]));
                out.number<uint64_t>(descriptors + rank * 24, data);
                out.number<uint32_t>(descriptors + rank * 24 + 8, block);
                out.number<uint64_t>(data, found);
                data += block;
                ++sample;
            }
            rank += static_cast<uint64_t>(std::popcount(words[i]));
        }
    }
    out.resize(data);
}

// A dump of 190,000 raw pages, cut into records in random order.
void make_flattened(const char* path) {
    constexpr uint64_t record = 80, count = 10'000'000, pages = 190'000;
    const std::string inner = std::string(path) + ".inner";
    {
        Out out(inner.c_str());
        const uint64_t bitmap_blocks = (pages + 8 * block - 1) / (8 * block), descriptors = (2 + 2 * bitmap_blocks) * block;
        put_headers(out, pages, bitmap_blocks);
        const std::vector<std::byte> ones(pages / 8, std::byte{0xff});
        out.put(2 * block, ones);
        out.put((2 + bitmap_blocks) * block, ones);
        const uint64_t data = (descriptors + pages * 24 + block - 1) / block * block;
        for (uint64_t page = 0; page < pages; ++page) {
            out.number<uint64_t>(descriptors + page * 24, data + page * block);
            out.number<uint32_t>(descriptors + page * 24 + 8, block);
            out.number<uint64_t>(data + page * block, page);
        }
        out.resize(count * record);
    }
    const auto source = open_file(inner);
    Out out(path);
    out.text(0, "makedumpfile");
    out.number<uint64_t>(16, swap_bytes(uint64_t{1}));
    out.number<uint64_t>(24, swap_bytes(uint64_t{1}));
    std::vector<uint32_t> order(count);
    std::iota(order.begin(), order.end(), 0);
    std::shuffle(order.begin(), order.end(), std::mt19937(3));
    std::vector<std::byte> buffer;
    uint64_t at = 4096;
    std::byte bytes[16 + record];
    for (uint64_t i = 0; i < count; ++i) {
        const uint64_t offset = swap_bytes(order[i] * record), size = swap_bytes(record);
        std::memcpy(bytes, &offset, 8);
        std::memcpy(bytes + 8, &size, 8);
        source->read(FileOffset(order[i] * record), std::span(bytes).subspan(16));
        buffer.insert(buffer.end(), bytes, bytes + sizeof(bytes));
        if (buffer.size() < (1 << 20) && i + 1 != count) continue;
        out.put(at, buffer);
        at += buffer.size();
        buffer.clear();
    }
    out.number<uint64_t>(at, UINT64_MAX);
    out.number<uint64_t>(at + 8, UINT64_MAX);
    ::unlink(inner.c_str());
}

double since(std::chrono::steady_clock::time_point start) {
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

uint64_t peak_kilobytes() {
    struct rusage usage {};
    ::getrusage(RUSAGE_SELF, &usage);
    return static_cast<uint64_t>(usage.ru_maxrss);
}

// Reads frames in random order; each must begin with its own number.
int read_dump(const char* path) {
    const auto start = std::chrono::steady_clock::now();
    const auto dump = open_dump({path});
    const double opened = since(start);
    std::vector<uint64_t> wanted;
    if (dump->info().max_frame == frames) {
        const uint64_t step = 64; // a sample is one of these
        for (const uint64_t frame : sample_frames())
            for (uint64_t bit = 0; bit < step; ++bit)
                if (dump->file_offset(PageFrame(frame + bit))) {
                    wanted.push_back(frame + bit);
                    break;
                }
    } else
        for (uint64_t i = 0; i < samples; ++i) wanted.push_back(i * 94);
    std::shuffle(wanted.begin(), wanted.end(), std::mt19937(4));
    std::vector<std::byte> page(block);
    uint64_t right = 0;
    const auto reading = std::chrono::steady_clock::now();
    for (const uint64_t frame : wanted)
        right +=
            dump->try_read_page(PageFrame(frame), page) == Fault::none && load<uint64_t>(page.data(), ByteOrder::little) == frame;
    const double each = since(reading) / static_cast<double>(wanted.size());
    const auto listing = std::chrono::steady_clock::now();
    const size_t ranges = dump->memory().size();
    fmt::print("{}: {}: opened in {:.3f} s, peak {} MB; {} of {} random pages right, {:.1f} us each; {} ranges of memory in "
               "{:.3f} s, peak {} MB\n",
               path, dump->info().format, opened, peak_kilobytes() / 1024, right, wanted.size(), each * 1e6, ranges,
               since(listing), peak_kilobytes() / 1024);
    return right == wanted.size() && right > samples / 2 ? 0 : 1;
}

} // namespace

int main(int argc, char** argv) {
    const std::string_view what = argc > 1 ? argv[1] : "", kind = argc > 2 ? argv[2] : "";
    try {
        if (what == "make" && argc == 4) {
            if (kind == "flattened") make_flattened(argv[3]);
            else make_large(kind, argv[3]);
            return 0;
        }
        if (what == "read" && argc == 3) return read_dump(argv[2]);
    } catch (const Error& error) {
        fmt::print(stderr, "{}\n", error.what());
        return 1;
    }
    fmt::print(stderr, "usage: dump_scale make alternating|random|full|flattened FILE\n       dump_scale read FILE\n");
    return 2;
}
