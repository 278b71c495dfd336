// SPDX-License-Identifier: GPL-3.0-or-later
// A file that is only read, with pread: a mapped file that shrinks would kill the process.
#pragma once
#include "core/address.hpp"
#include "core/fault.hpp"
#include <cstddef>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace kcrash {

// Where dump bytes come from: a file, or what a wrapper (flattened) makes of one. Safe from many threads.
class ByteSource {
public:
    virtual ~ByteSource() = default;
    // Fills all of `into` or says why not: truncated (the end comes before), io. Never partial success.
    virtual Fault try_read(FileOffset at, std::span<std::byte> into) const = 0;
    virtual uint64_t size() const = 0;           // bytes; for a flattened file the size of what it holds
    virtual const std::string& path() const = 0; // for messages
    // The first offset from `at` on where other bytes than zero may be, or size(): what lies between is a hole, which need not be
    // read.
    virtual FileOffset next_data(FileOffset at) const { return at; }
    // Bytes that came over a network so far; nothing: none ever do.
    virtual std::optional<uint64_t> fetched() const { return std::nullopt; }
    // Is this the memory of the running kernel (/proc/kcore), which changes between two reads?
    virtual bool live() const { return false; }

    // As try_read, but throws FileError with path, offset and reason.
    void read(FileOffset at, std::span<std::byte> into) const;
    // Reads n bytes that must all be there. Refuses n beyond size() before it allocates.
    std::vector<std::byte> read(FileOffset at, uint64_t n) const;
};

// The size of a file that does not tell it: some files of /proc say 0 and have bytes all the same.
constexpr uint64_t unknown_size = static_cast<uint64_t>(INT64_MAX);

// Opens read-only: a file, a block device, an NBD URI. Throws FileError for a missing file, a directory, or what cannot be read
// with pread.
std::shared_ptr<const ByteSource> open_file(const std::string& path);

} // namespace kcrash
