// SPDX-License-Identifier: GPL-3.0-or-later
// dump_compare A B...: do these dumps of one kernel death hold the same bytes?
//
// Each argument is a dump, or the parts of a split set with commas between them. Every page frame of each (of the smaller pages) is
// compared with A's; a page that one of them left out is counted, a page that both have must be the same.
// The exit status is 0 when nothing differs and no page is damaged.
#include "core/dump/dump.hpp"
#include "core/error.hpp"
#include <algorithm>
#include <array>
#include <cstring>
#include <fmt/format.h>
#include <optional>
#include <set>

using namespace kcrash;

namespace {

struct Counts {
    uint64_t identical = 0, different = 0, only_in_first = 0, only_in_second = 0;
    std::array<uint64_t, 16> faults{}; // of the second, by Fault
    uint64_t first_different = 0;      // frame
};

std::unique_ptr<Dump> open_argument(std::string_view argument) {
    std::vector<std::string> paths;
    for (size_t comma; (comma = argument.find(',')) != std::string_view::npos; argument.remove_prefix(comma + 1))
        paths.emplace_back(argument.substr(0, comma));
    paths.emplace_back(argument);
    return open_dump(paths);
}

// A dump in pieces of another size than its pages: QEMU has 64 kB for every arm64.
class Pieces {
public:
    Pieces(const Dump& dump, uint64_t size) : dump_(dump), size_(size), page_(dump.info().page_size) {}
    // The piece stays until the next one is read.
    Fault read(uint64_t number, std::span<const std::byte>& into) {
        const uint64_t frame = number * size_ / page_.size();
        if (frame_ != frame) fault_ = dump_.try_read_page(PageFrame(frame), page_);
        frame_ = frame;
        into = std::span<const std::byte>(page_).subspan(number * size_ % page_.size(), size_);
        return fault_;
    }

private:
    const Dump& dump_;
    uint64_t size_; // bytes
    std::vector<std::byte> page_;
    std::optional<uint64_t> frame_;
    Fault fault_ = Fault::none;
};

// What either has, and what lies directly behind it; a machine's memory may be terabytes apart.
std::set<uint64_t> pieces_of(const Dump& a, const Dump& b, uint64_t size) {
    std::set<uint64_t> pieces;
    for (const Dump* dump : {&a, &b})
        for (const PhysicalRange& range : dump->memory())
            for (uint64_t piece = range.begin.value / size; piece <= range.end.value / size; ++piece) pieces.insert(piece);
    return pieces;
}

Counts compare(const Dump& a, const Dump& b) {
    Counts counts;
    const uint64_t size = std::min(a.info().page_size, b.info().page_size);
    Pieces of_a(a, size), of_b(b, size);
    for (const uint64_t piece : pieces_of(a, b, size)) {
        std::span<const std::byte> bytes_a, bytes_b;
        const Fault fault_a = of_a.read(piece, bytes_a), fault_b = of_b.read(piece, bytes_b);
        ++counts.faults[static_cast<size_t>(fault_b)];
        if (fault_a != Fault::none || fault_b != Fault::none) {
            counts.only_in_first += fault_a == Fault::none;
            counts.only_in_second += fault_b == Fault::none;
        } else if (std::memcmp(bytes_a.data(), bytes_b.data(), size) == 0) ++counts.identical;
        else if (counts.different++ == 0) counts.first_different = piece;
    }
    return counts;
}

void describe_dump(const char* argument, const Dump& dump) {
    const DumpInfo& info = dump.info();
    uint64_t memory = 0;
    for (const PhysicalRange& range : dump.memory()) memory += range.end - range.begin;
    fmt::print("{}: {}, {}, level {}, {} kB of memory, {} notes, {} bytes of vmcoreinfo{}{}{}{}\n", argument, info.format,
               info.compression, info.dump_level ? fmt::format("{}", *info.dump_level) : "unknown", memory >> 10,
               dump.notes().size(), dump.vmcoreinfo().size(), info.partial ? ", partial" : "",
               info.incomplete ? ", incomplete" : "", info.truncated ? ", truncated" : "", info.split ? ", split" : "");
    for (const std::string& warning : info.warnings) fmt::print("    {}\n", warning);
}

bool print_counts(const Counts& counts, uint64_t size) {
    fmt::print("    identical {}, different {}, only in the first {}, only in this {} (of {} bytes)\n", counts.identical, counts.different,
               counts.only_in_first, counts.only_in_second, size);
    bool good = counts.different == 0;
    if (!good) fmt::print("    the first different page frame is 0x{:x}\n", counts.first_different);
    for (const Fault fault :
         {Fault::excluded, Fault::excluded_or_zero, Fault::incomplete, Fault::truncated, Fault::damaged, Fault::io}) {
        const uint64_t n = counts.faults[static_cast<size_t>(fault)];
        if (n) fmt::print("    {}: {}\n", name(fault), n);
        if (n && (fault == Fault::damaged || fault == Fault::io)) good = false;
    }
    return good;
}

int run(int argc, char** argv) {
    if (argc < 2) throw UsageError("usage: dump_compare A B... (parts of a split set with commas between them)");
    const auto first = open_argument(argv[1]);
    describe_dump(argv[1], *first);
    bool good = true;
    for (int i = 2; i < argc; ++i) {
        const auto other = open_argument(argv[i]);
        describe_dump(argv[i], *other);
        if (other->vmcoreinfo() != first->vmcoreinfo() && !other->vmcoreinfo().empty() && !first->vmcoreinfo().empty()) // some formats have no place for it
            throw FileError(fmt::format("{}: is of another kernel death: its VMCOREINFO differs", argv[i]));
        good &= print_counts(compare(*first, *other), std::min(first->info().page_size, other->info().page_size));
    }
    return good ? 0 : 1;
}

} // namespace

int main(int argc, char** argv) {
    try {
        return run(argc, argv);
    } catch (const Error& error) {
        fmt::print(stderr, "dump_compare: {}\n", error.what());
        return 2;
    }
}
