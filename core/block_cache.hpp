// SPDX-License-Identifier: GPL-3.0-or-later
// A bounded number of decompressed or fetched blocks, for sources of bytes that cannot give single bytes cheaply.
#pragma once
#include <cstddef>
#include <cstdint>
#include <list>
#include <memory>
#include <mutex>
#include <unordered_map>
#include <vector>

namespace kcrash {

// Safe from many threads. The block least recently asked for makes room. A block that was given out lives as long as its holder.
class BlockCache {
public:
    using Block = std::shared_ptr<const std::vector<std::byte>>;
    explicit BlockCache(uint64_t most_bytes) : most_bytes_(most_bytes) {}

    Block find(uint64_t id) const {
        const std::lock_guard held(lock_);
        const auto found = places_.find(id);
        if (found == places_.end()) return nullptr;
        blocks_.splice(blocks_.begin(), blocks_, found->second);
        return found->second->block;
    }
    void add(uint64_t id, Block block) const {
        const std::lock_guard held(lock_);
        if (places_.contains(id)) return; // another thread was quicker
        bytes_ += block->size();
        blocks_.push_front({id, std::move(block)});
        places_[id] = blocks_.begin();
        while (bytes_ > most_bytes_ && blocks_.size() > 1) {
            bytes_ -= blocks_.back().block->size();
            places_.erase(blocks_.back().id);
            blocks_.pop_back();
        }
    }

private:
    struct Entry {
        uint64_t id;
        Block block;
    };
    const uint64_t most_bytes_;
    mutable std::mutex lock_;
    mutable uint64_t bytes_ = 0;
    mutable std::list<Entry> blocks_; // the latest first
    mutable std::unordered_map<uint64_t, std::list<Entry>::iterator> places_;
};

} // namespace kcrash
