// SPDX-License-Identifier: GPL-3.0-or-later
// NBD through libnbd. With nbdkit on the other side, a dump on SSH, HTTP or S3, or inside an .xz, opens without being copied.
//
// A round trip costs more than a page, so blocks are fetched and kept; blocks in a row that are all missing are one request.
// Requests of several threads follow one another. A server that does not answer in time is given up: the request that was under
// way keeps its buffer, for libnbd may still write to it, and every later read fails at once.
#include "core/nbd_file.hpp"
#include "core/block_cache.hpp"
#include "core/error.hpp"
#include "core/interrupt.hpp"
#include <algorithm>
#include <atomic>
#include <cstring>
#include <fmt/format.h>
#include <libnbd.h>
#include <mutex>

namespace kcrash {
namespace {

constexpr uint64_t block_bytes = 65536, most_at_once = uint64_t{4} << 20, cache_bytes = uint64_t{256} << 20;

std::string reason() {
    const char* text = nbd_get_error();
    return text ? text : "unknown error";
}

using Clock = std::chrono::steady_clock;

// Lets libnbd work until something happened. False: the time is over, or Ctrl-C was pressed, or the connection is lost.
bool go_on(nbd_handle* handle, Clock::time_point end) {
    constexpr int slice = 200; // milliseconds: how soon Ctrl-C is seen
    while (Clock::now() < end && !interrupt_requested) {
        const int result = nbd_poll(handle, slice);
        if (result != 0) return result > 0;
    }
    return false;
}

class NbdFile final : public ByteSource {
public:
    NbdFile(std::string uri, std::chrono::milliseconds patience)
        : uri_(std::move(uri)), patience_(patience), handle_(nbd_create(), nbd_close) {
        if (!handle_) throw FileError(fmt::format("{}: {}", uri_, reason()));
        connect();
        const int64_t size = nbd_get_size(handle_.get());
        if (size < 0) throw FileError(fmt::format("{}: {}", uri_, reason()));
        size_ = static_cast<uint64_t>(size);
    }

    Fault try_read(FileOffset at, std::span<std::byte> into) const override {
        uint64_t offset = at.value;
        if (offset > size_ || into.size() > size_ - offset) return Fault::truncated;
        while (!into.empty()) {
            const uint64_t n = offset / block_bytes;
            BlockCache::Block block = cache_.find(n);
            if (!block) block = fetch(n, (offset + into.size() - 1) / block_bytes);
            if (!block) { // one bad sector is not to take its neighbours with it
                const size_t part = static_cast<size_t>(std::min<uint64_t>(into.size(), (n + 1) * block_bytes - offset));
                if (!fetch_alone(offset, into.first(part))) return Fault::io;
                into = into.subspan(part);
                offset += part;
                continue;
            }
            const size_t skip = static_cast<size_t>(offset - n * block_bytes), take = std::min(into.size(), block->size() - skip);
            std::memcpy(into.data(), block->data() + skip, take);
            into = into.subspan(take);
            offset += take;
        }
        return Fault::none;
    }
    uint64_t size() const override { return size_; }
    const std::string& path() const override { return uri_; }
    std::optional<uint64_t> fetched() const override { return fetched_.load(); }

private:
    void connect() {
        if (nbd_aio_connect_uri(handle_.get(), uri_.c_str()) != 0) throw FileError(fmt::format("{}: {}", uri_, reason()));
        const auto end = Clock::now() + patience_;
        while (nbd_aio_is_connecting(handle_.get()) == 1)
            if (!go_on(handle_.get(), end)) {
                check_interrupt();
                if (Clock::now() < end) throw FileError(fmt::format("{}: {}", uri_, reason()));
                throw FileError(fmt::format("{}: the server does not answer; given up after {} s", uri_,
                                            std::chrono::duration<double>(patience_).count()));
            }
        if (nbd_aio_is_ready(handle_.get()) != 1) throw FileError(fmt::format("{}: {}", uri_, reason()));
    }

    // False: the server failed, or did not answer.
    bool read_blocks(std::shared_ptr<std::vector<std::byte>> into, uint64_t at) const {
        if (lost_) return false;
        const int64_t cookie = nbd_aio_pread(handle_.get(), into->data(), into->size(), at, nbd_completion_callback{}, 0);
        if (cookie < 0) return false;
        const auto end = Clock::now() + patience_;
        int done = 0;
        while ((done = nbd_aio_command_completed(handle_.get(), static_cast<uint64_t>(cookie))) == 0)
            if (!go_on(handle_.get(), end)) {
                abandoned_.push_back(std::move(into));
                lost_ = !interrupt_requested;
                return false;
            }
        return done > 0;
    }

    // These bytes alone. False: the server failed.
    bool fetch_alone(uint64_t at, std::span<std::byte> into) const {
        const auto buffer = std::make_shared<std::vector<std::byte>>(into.size());
        const std::lock_guard held(requests_);
        if (!read_blocks(buffer, at)) return false;
        fetched_ += into.size();
        std::copy(buffer->begin(), buffer->end(), into.begin());
        return true;
    }

    // Fetches `first` and, in the same request, those after it up to `last` that are missing too. Null: the server failed.
    BlockCache::Block fetch(uint64_t first, uint64_t last) const {
        uint64_t end = first + 1;
        while (end <= last && (end - first) * block_bytes < most_at_once && !cache_.find(end)) ++end;
        const auto buffer = std::make_shared<std::vector<std::byte>>(std::min(end * block_bytes, size_) - first * block_bytes);
        {
            const std::lock_guard held(requests_);
            if (!read_blocks(buffer, first * block_bytes)) return nullptr;
        }
        const std::vector<std::byte>& bytes = *buffer;
        fetched_ += bytes.size();
        BlockCache::Block wanted;
        for (uint64_t at = 0; at < bytes.size(); at += block_bytes) {
            const auto begin = bytes.begin() + static_cast<std::ptrdiff_t>(at);
            const auto n = static_cast<std::ptrdiff_t>(std::min<uint64_t>(block_bytes, bytes.size() - at));
            auto block = std::make_shared<const std::vector<std::byte>>(begin, begin + n);
            if (at == 0) wanted = block;
            cache_.add(first + at / block_bytes, std::move(block));
        }
        return wanted;
    }

    std::string uri_;
    std::chrono::milliseconds patience_;
    mutable std::mutex requests_; // guards the two below, and the handle
    mutable std::vector<std::shared_ptr<std::vector<std::byte>>> abandoned_; // must outlive the handle
    mutable bool lost_ = false;
    std::unique_ptr<nbd_handle, void (*)(nbd_handle*)> handle_;
    uint64_t size_ = 0;
    mutable std::atomic<uint64_t> fetched_{0};
    BlockCache cache_{cache_bytes};
};

} // namespace

bool is_nbd_uri(std::string_view word) {
    for (const std::string_view scheme : {"nbd://", "nbds://", "nbd+unix://", "nbds+unix://", "nbd+vsock://", "nbds+vsock://"})
        if (word.starts_with(scheme)) return true;
    return false;
}

std::shared_ptr<const ByteSource> open_nbd(const std::string& uri, std::chrono::milliseconds patience) {
    return std::make_shared<NbdFile>(uri, patience);
}

} // namespace kcrash
