// SPDX-License-Identifier: GPL-3.0-or-later
// Pages of a stream: runs, and a binary search.
#include "core/dump/qemu_pages.hpp"
#include <algorithm>
#include <cstring>

namespace kcrash {
namespace {

constexpr uint64_t page_size = StreamPages::page_size;

class PagesSource final : public ByteSource {
public:
    PagesSource(std::shared_ptr<const ByteSource> file, std::vector<StreamPages::Run> runs, uint64_t count)
        : file_(std::move(file)), runs_(std::move(runs)), count_(count) {}

    Fault try_read(FileOffset at, std::span<std::byte> into) const override {
        uint64_t offset = at.value;
        while (!into.empty()) {
            const uint64_t page = offset / page_size;
            if (page >= count_) return Fault::truncated;
            const auto behind = std::upper_bound(runs_.begin(), runs_.end(), page,
                                                 [](uint64_t p, const StreamPages::Run& r) { return p < r.first; });
            const StreamPages::Run& run = *(behind - 1);
            const uint64_t pages = (behind == runs_.end() ? count_ : behind->first) - page;
            const size_t n = static_cast<size_t>(std::min<uint64_t>(into.size(), pages * page_size - offset % page_size));
            if (const Fault fault = read_run(run, offset - run.first * page_size, into.first(n)); fault != Fault::none)
                return fault;
            into = into.subspan(n);
            offset += n;
        }
        return Fault::none;
    }
    uint64_t size() const override { return count_ * page_size; }
    const std::string& path() const override { return file_->path(); }

private:
    // Several pages of one run are one read: the bytes between them are few.
    Fault read_run(const StreamPages::Run& run, uint64_t offset, std::span<std::byte> into) const {
        const uint64_t first = offset / page_size, last = (offset + into.size() - 1) / page_size;
        const uint64_t begin = run.at + first * run.distance;
        std::vector<std::byte> stored((last - first) * run.distance + (run.fill ? 1 : page_size));
        if (const Fault fault = file_->try_read(FileOffset(begin), stored); fault != Fault::none) return fault;
        for (uint64_t page = first; page <= last; ++page) {
            const size_t skip = static_cast<size_t>(page == first ? offset % page_size : 0);
            const size_t n = std::min<size_t>(into.size(), page_size - skip);
            const std::byte* from = stored.data() + (page - first) * run.distance;
            if (run.fill) std::fill_n(into.begin(), n, *from);
            else std::memcpy(into.data(), from + skip, n);
            into = into.subspan(n);
        }
        return Fault::none;
    }

    std::shared_ptr<const ByteSource> file_;
    std::vector<StreamPages::Run> runs_;
    uint64_t count_;
};

} // namespace

uint64_t StreamPages::add(uint64_t at, bool fill) {
    const uint64_t usual = 8 + (fill ? 1 : page_size); // a header that names no block, and the data
    if (!runs_.empty()) {
        const Run& run = runs_.back();
        if (run.fill == fill && run.at + (count_ - run.first) * run.distance == at) return count_++;
    }
    runs_.push_back({count_, at, static_cast<uint32_t>(usual), fill});
    return count_++;
}

uint64_t StreamPages::add_row(uint64_t at, bool fill, uint64_t count) {
    runs_.push_back({count_, at, fill ? 0 : static_cast<uint32_t>(page_size), fill});
    return (count_ += count) - count;
}

std::shared_ptr<const ByteSource> StreamPages::source(std::shared_ptr<const ByteSource> file) && {
    return std::make_shared<PagesSource>(std::move(file), std::move(runs_), count_);
}

} // namespace kcrash
