// SPDX-License-Identifier: GPL-3.0-or-later
// A list that comes into being when somebody first looks at it: the members of a struct lead to most types of a kernel.
#pragma once
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <memory>
#include <utility>
#include <vector>

namespace kcrash {

// Makes the items of a LazyList. Called from many threads, perhaps twice for one list: one result is kept.
template <typename T> struct ListSource {
    virtual ~ListSource() = default;
    virtual std::vector<T> load_list(uint64_t key, const T* kind) const = 0; // kind is null: it tells overloads apart
};

// Reads like a const std::vector. The source, if any, must outlive it. Reading is safe from many threads; changing is for
// whoever builds the list, before anybody else sees it.
template <typename T> class LazyList {
public:
    LazyList() = default;
    LazyList(std::initializer_list<T> items) : LazyList(std::vector<T>(items)) {}
    LazyList(std::vector<T> items) : items_(items.empty() ? nullptr : new std::vector<T>(std::move(items))) {}
    LazyList(const ListSource<T>& source, uint64_t key) : source_(&source), key_(key) {}
    LazyList(const LazyList& other) : LazyList() { *this = other; }
    LazyList(LazyList&& other) noexcept : items_(other.items_.exchange(nullptr)), source_(other.source_), key_(other.key_) {}
    ~LazyList() { delete items_.load(); }
    LazyList& operator=(const LazyList& other) {
        if (this == &other) return *this;
        const auto* theirs = other.items_.load(std::memory_order_acquire);
        delete items_.exchange(theirs ? new std::vector<T>(*theirs) : nullptr);
        source_ = other.source_, key_ = other.key_;
        return *this;
    }
    LazyList& operator=(LazyList&& other) noexcept {
        if (this == &other) return *this;
        delete items_.exchange(other.items_.exchange(nullptr));
        source_ = other.source_, key_ = other.key_;
        return *this;
    }

    operator const std::vector<T>&() const { return items(); }
    const std::vector<T>& items() const {
        if (const auto* there = items_.load(std::memory_order_acquire)) return *there;
        return load();
    }
    auto begin() const { return items().begin(); }
    auto end() const { return items().end(); }
    size_t size() const { return items().size(); }
    bool empty() const { return items().empty(); }
    const T& operator[](size_t at) const { return items()[at]; }
    const T& front() const { return items().front(); }
    const T& back() const { return items().back(); }

    std::vector<T>& edit() { return const_cast<std::vector<T>&>(items_.load() ? *items_.load() : load_own()); }
    void push_back(T item) { edit().push_back(std::move(item)); }
    template <typename... A> T& emplace_back(A&&... a) { return edit().emplace_back(std::forward<A>(a)...); }
    void reserve(size_t n) { edit().reserve(n); }

private:
    const std::vector<T>& load() const {
        static const std::vector<T> none;
        return source_ ? load_own() : none;
    }
    const std::vector<T>& load_own() const {
        auto mine = std::make_unique<std::vector<T>>();
        if (source_) *mine = source_->load_list(key_, static_cast<const T*>(nullptr));
        std::vector<T>* there = nullptr;
        if (items_.compare_exchange_strong(there, mine.get(), std::memory_order_acq_rel)) return *mine.release();
        return *there;
    }

    mutable std::atomic<std::vector<T>*> items_{nullptr};
    const ListSource<T>* source_ = nullptr;
    uint64_t key_ = 0;
};

} // namespace kcrash
