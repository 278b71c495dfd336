// SPDX-License-Identifier: GPL-3.0-or-later
// Files made of parts of files.
#include "core/slice.hpp"
#include "core/error.hpp"
#include <algorithm>
#include <fmt/format.h>

namespace kcrash {
namespace {

class Tail final : public ByteSource {
public:
    Tail(std::shared_ptr<const ByteSource> file, uint64_t begin) : file_(std::move(file)), begin_(begin) {}
    Fault try_read(FileOffset at, std::span<std::byte> into) const override {
        uint64_t from;
        if (__builtin_add_overflow(at.value, begin_, &from)) return Fault::truncated;
        return file_->try_read(FileOffset(from), into);
    }
    uint64_t size() const override { return file_->size() > begin_ ? file_->size() - begin_ : 0; }
    const std::string& path() const override { return file_->path(); }

private:
    std::shared_ptr<const ByteSource> file_;
    uint64_t begin_;
};

class Joined final : public ByteSource {
public:
    explicit Joined(std::vector<std::shared_ptr<const ByteSource>> files) : files_(std::move(files)) {
        for (const auto& file : files_) {
            uint64_t end;
            if (__builtin_add_overflow(size(), file->size(), &end))
                throw FileError(fmt::format("{}: is too large", file->path()));
            ends_.push_back(end);
        }
    }
    Fault try_read(FileOffset at, std::span<std::byte> into) const override {
        uint64_t offset = at.value;
        while (!into.empty()) {
            const auto end = std::upper_bound(ends_.begin(), ends_.end(), offset);
            if (end == ends_.end()) return Fault::truncated;
            const size_t n = static_cast<size_t>(end - ends_.begin());
            const size_t take = static_cast<size_t>(std::min<uint64_t>(into.size(), *end - offset));
            const uint64_t begin = n == 0 ? 0 : ends_[n - 1];
            if (const Fault fault = files_[n]->try_read(FileOffset(offset - begin), into.first(take)); fault != Fault::none)
                return fault;
            into = into.subspan(take);
            offset += take;
        }
        return Fault::none;
    }
    uint64_t size() const override { return ends_.empty() ? 0 : ends_.back(); }
    const std::string& path() const override { return files_.front()->path(); }

private:
    std::vector<std::shared_ptr<const ByteSource>> files_;
    std::vector<uint64_t> ends_;
};

} // namespace

std::shared_ptr<const ByteSource> tail_of(std::shared_ptr<const ByteSource> file, uint64_t begin) {
    return std::make_shared<Tail>(std::move(file), begin);
}

std::shared_ptr<const ByteSource> join_files(std::vector<std::shared_ptr<const ByteSource>> files) {
    if (files.size() == 1) return files.front();
    return std::make_shared<Joined>(std::move(files));
}

} // namespace kcrash
