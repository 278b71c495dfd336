// SPDX-License-Identifier: GPL-3.0-or-later
// Bytes by virtual address: the kernel's address space or a process's.
#pragma once
#include "core/address.hpp"
#include "core/bytes.hpp"
#include "core/fault.hpp"
#include "core/memory/physical_memory.hpp"
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace kcrash {

// Where a virtual address lies. The mapping covers page_size bytes that are contiguous in both spaces.
struct Translation {
    PhysicalAddress physical;
    uint64_t page_size = 0; // bytes: 4096, 2 MB, 1 GB
    uint64_t entry = 0;     // the raw last entry: its low bits are the protection
};

// One step of a page walk, for vtop.
struct WalkStep {
    const char* level;       // "PGD", "P4D", "PUD", "PMD", "PTE"
    PhysicalAddress address; // of the entry
    uint64_t entry;          // as it stands in memory
};

struct Walk {
    std::vector<WalkStep> steps;
    Fault fault = Fault::none; // why it ended, if not in a page
    Translation result;        // when fault is none
    uint64_t swap_entry = 0;   // the raw entry, when fault is swapped
};

// Turns virtual addresses into physical ones. arch/ has the implementations. Safe from many threads.
class Translator {
public:
    virtual ~Translator() = default;
    virtual Fault try_translate(VirtualAddress at, Translation& result) const = 0;
    virtual Walk walk(VirtualAddress at) const = 0;
    virtual PhysicalAddress root() const = 0; // of the top table
};

// Owns its translator, looks at the physical memory. Safe from many threads.
class AddressSpace {
public:
    AddressSpace(const PhysicalMemory& memory, std::unique_ptr<const Translator> translator, ByteOrder order,
                 std::string name); // name for messages: "kernel virtual", "user virtual"
    ~AddressSpace();

    Fault try_read(VirtualAddress at, std::span<std::byte> into) const;
    void read(VirtualAddress at, std::span<std::byte> into, std::string_view what = {}) const; // MemoryError
    Fault try_translate(VirtualAddress at, Translation& result) const;                         // cached
    PhysicalAddress translate(VirtualAddress at) const;                                        // MemoryError
    Walk walk(VirtualAddress at) const { return translator_->walk(at); }

    template <typename T> Fault try_load(VirtualAddress at, T& value) const {
        std::byte bytes[sizeof(T)];
        const Fault fault = try_read(at, bytes);
        if (fault == Fault::none) value = kcrash::load<T>(bytes, order_);
        return fault;
    }
    template <typename T> T load(VirtualAddress at, std::string_view what = {}) const {
        std::byte bytes[sizeof(T)];
        read(at, bytes, what);
        return kcrash::load<T>(bytes, order_);
    }
    uint64_t u64(VirtualAddress at, std::string_view what = {}) const { return load<uint64_t>(at, what); }
    uint32_t u32(VirtualAddress at, std::string_view what = {}) const { return load<uint32_t>(at, what); }
    // Up to the NUL, max bytes, or the first unreadable page after the first byte. MemoryError if the first byte is unreadable.
    std::string string(VirtualAddress at, size_t max, std::string_view what = {}) const;

    ByteOrder order() const { return order_; }
    const std::string& name() const { return name_; }
    const PhysicalMemory& physical() const { return memory_; }
    PhysicalAddress root() const { return translator_->root(); }

private:
    struct Cache;
    Fault try_read_until(VirtualAddress& at, std::span<std::byte> into) const; // `at` ends at the first unreadable byte
    const PhysicalMemory& memory_;
    std::unique_ptr<const Translator> translator_;
    ByteOrder order_;
    std::string name_;
    std::unique_ptr<Cache> cache_;
};

} // namespace kcrash
