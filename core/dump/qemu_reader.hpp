// SPDX-License-Identifier: GPL-3.0-or-later
// A QEMU stream, read from its beginning to its end.
#pragma once
#include "core/bytes.hpp"
#include "core/file.hpp"
#include "core/interrupt.hpp"
#include <algorithm>
#include <string>
#include <string_view>
#include <vector>

namespace kcrash {

// The file ends in the middle of something.
struct StreamEnd {};

// Reads forward through a small buffer: pages are passed over unread.
class ForwardReader {
public:
    explicit ForwardReader(const ByteSource& file) : file_(file) {}
    uint64_t at() const { return at_; }
    void skip(uint64_t n) {
        if (n > file_.size() - at_) throw StreamEnd();
        at_ += n;
    }
    uint8_t u8() { return static_cast<uint8_t>(take(1)[0]); }
    uint16_t u16() { return load<uint16_t>(take(2), ByteOrder::big); }
    uint32_t u32() { return load<uint32_t>(take(4), ByteOrder::big); }
    uint64_t u64() { return load<uint64_t>(take(8), ByteOrder::big); }
    std::string text(size_t n) {
        std::string text;
        while (n--) text += static_cast<char>(u8());
        return text;
    }
    std::string name() { return text(u8()); }
    // To behind these bytes, where next(byte) follows them.
    template <typename Next> void skip_behind(std::string_view bytes, Next next) {
        for (uint64_t size = 256;; size = std::min<uint64_t>(size * 2, 65536)) { // many such sections are short
            check_interrupt();
            std::string window(static_cast<size_t>(std::min<uint64_t>(size, file_.size() - at_)), '\0');
            if (window.size() <= bytes.size() || file_.try_read(FileOffset(at_), std::as_writable_bytes(std::span(window))) != Fault::none)
                throw StreamEnd();
            for (size_t found = window.find(bytes); found != std::string::npos && found + bytes.size() < window.size(); found = window.find(bytes, found + 1))
                if (next(static_cast<uint8_t>(window[found + bytes.size()]))) return skip(found + bytes.size());
            skip(window.size() - bytes.size());
        }
    }

private:
    const std::byte* take(size_t n) {
        if (at_ > file_.size() || n > file_.size() - at_) throw StreamEnd();
        if (at_ < begin_ || at_ + n > begin_ + buffer_.size()) {
            buffer_.resize(static_cast<size_t>(std::min<uint64_t>(buffer_size, file_.size() - at_)));
            begin_ = at_;
            if (file_.try_read(FileOffset(at_), buffer_) != Fault::none) {
                buffer_.clear();
                throw StreamEnd();
            }
        }
        const std::byte* there = buffer_.data() + (at_ - begin_);
        at_ += n;
        return there;
    }
    static constexpr uint64_t buffer_size = 4096;
    const ByteSource& file_;
    std::vector<std::byte> buffer_;
    uint64_t begin_ = 0, at_ = 0;
};

} // namespace kcrash
