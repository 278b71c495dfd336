// SPDX-License-Identifier: GPL-3.0-or-later
// VMware's suspended machines (.vmss) and snapshots (.vmsn), with their memory inside or in a .vmem beside them.
//
//     0    id u32, version u32, number of groups u32                      little-endian
//     12   for each group: name[64], position u64, size u64
//
// A group is a list of tags, ended by a tag of 0:
//
//     tag u16 = length of the name << 8 | number of indexes << 6 | length of the value
//     name, indexes (u32 each), value
//     length 0x3f: a block: size u64, size in memory u64, padding u16, padding, bytes; 0x3e: the same, compressed
//
// Of the group "memory": regionsCount; regionPPN[i], regionPageNum[i] and regionSize[i] say which pages of the machine lie at
// which pages of the memory file; without regions it is all from 0. The block "Memory" is the memory itself; when it is not
// there, memory is in the .vmem file. Of the group "cpu": rip[cpu], rax[cpu] ... or, in older files, a block gpregs[cpu] of
// sixteen registers.
//
// What is odd about it: the file does not name its .vmem; it is looked for by the name of the file. Segments are not read: the
// selectors are Linux's own, told by whether rip is in the kernel's half. An id of 0xbed0bed0 is the layout of 32-bit products,
// which is not read; 0xbed3bed3 means that the file is not complete. Specified by VMware's snapshot tools (vmss2core) and by
// crash's reader.
#include "core/dump/vmware.hpp"
#include "core/cursor.hpp"
#include "core/dump/mapped.hpp"
#include "core/dump/x86_notes.hpp"
#include "core/interrupt.hpp"
#include <algorithm>
#include <array>
#include <elf.h>
#include <fmt/format.h>
#include <map>
#include <optional>

namespace kcrash {
namespace {

constexpr uint32_t old_id = 0xbed0bed0, partial_id = 0xbed3bed3;
constexpr uint32_t known_ids[] = {0xbed2bed2, partial_id, 0xbad1bad1, 0xbad2bad2, old_id};
constexpr uint32_t most_groups = 4096, most_regions = 4096, most_cpus = 65536;
constexpr uint64_t most_tags = uint64_t{1} << 20;

Probe probe(std::span<const std::byte> head) {
    if (head.size() < 4) return Probe::not_mine;
    const uint32_t id = load<uint32_t>(head.data(), ByteOrder::little);
    return std::find(std::begin(known_ids), std::end(known_ids), id) != std::end(known_ids) ? Probe::mine : Probe::not_mine;
}

struct Region {
    std::optional<uint64_t> machine_page, file_page, pages;
};

struct Cpu {
    X86Registers registers;
    bool has_rip = false, has_rsp = false;
};

class Reader {
public:
    explicit Reader(std::shared_ptr<const ByteSource> file) : file_(std::move(file)) {}

    std::unique_ptr<Dump> open() {
        const auto head = file_->read(FileOffset(0), 12);
        Cursor cursor(head, ByteOrder::little, file_->path());
        const uint32_t id = cursor.u32();
        if (id == old_id)
            throw FileError(
                fmt::format("{}: is a VMware file of a 32-bit product, which kcrash does not read; convert it with vmss2core",
                            file_->path()));
        parts_.incomplete = id == partial_id;
        cursor.skip(4);
        const uint32_t groups = cursor.u32();
        if (groups == 0 || groups > most_groups) damaged(0, fmt::format("{} groups", groups));
        for (uint32_t i = 0; i < groups; ++i) {
            const auto bytes = file_->read(FileOffset(12 + uint64_t{80} * i), 80);
            const std::string_view name(reinterpret_cast<const char*>(bytes.data()), 64);
            const uint64_t position = load<uint64_t>(bytes.data() + 64, ByteOrder::little);
            if (const std::string_view group = name.substr(0, name.find('\0')); group == "memory" || group == "cpu")
                read_group(group, position);
        }
        return finish();
    }

private:
    struct Tag {
        std::string name;
        std::vector<uint32_t> indexes;
        std::vector<std::byte> value; // not of blocks
        uint64_t at = 0, size = 0;    // of blocks: where their bytes are
        bool block = false, compressed = false;
        uint64_t number() const { return load_unsigned(value, ByteOrder::little); }
    };

    [[noreturn]] void damaged(uint64_t at, const std::string& what) const {
        throw FileError(fmt::format("{}: damaged VMware file at offset 0x{:x}: {}", file_->path(), at, what));
    }

    uint64_t take(uint64_t& at, unsigned size) const {
        const auto bytes = file_->read(FileOffset(at), size);
        at += size;
        return load_unsigned(bytes, ByteOrder::little);
    }

    // The tag at `at`, which moves behind it. Nothing: the end of the group.
    std::optional<Tag> next_tag(uint64_t& at) const {
        const uint16_t word = static_cast<uint16_t>(take(at, 2));
        if (word == 0) return std::nullopt;
        Tag tag;
        const auto name = file_->read(FileOffset(at), word >> 8);
        tag.name.assign(reinterpret_cast<const char*>(name.data()), name.size());
        at += name.size();
        for (unsigned n = word >> 6 & 3; n > 0; --n) tag.indexes.push_back(static_cast<uint32_t>(take(at, 4)));
        const unsigned size = word & 0x3f;
        tag.block = size >= 0x3e;
        if (!tag.block) {
            tag.value = file_->read(FileOffset(at), size);
            at += size;
            return tag;
        }
        tag.compressed = size == 0x3e;
        const uint64_t stored = take(at, 8);
        tag.size = take(at, 8);
        tag.at = at + 2 + take(at, 2);
        if (tag.compressed || tag.size > stored) tag.size = stored;
        if (__builtin_add_overflow(tag.at, stored, &at)) damaged(tag.at, fmt::format("a block of {} bytes", stored));
        return tag;
    }

    void read_group(std::string_view group, uint64_t at) {
        for (uint64_t n = 0; n < most_tags; ++n) {
            check_interrupt();
            std::optional<Tag> tag;
            try {
                tag = next_tag(at);
            } catch (const FileError& error) { // what was read so far counts: the memory may be the last
                parts_.warnings.push_back(error.what());
                return;
            }
            if (!tag) return;
            if (group == "memory") memory_tag(*tag);
            else cpu_tag(*tag);
        }
    }

    void memory_tag(const Tag& tag) {
        if (tag.name == "Memory" && tag.block) {
            if (tag.compressed)
                throw FileError(fmt::format(
                    "{}: memory is compressed in this VMware file, which kcrash does not read; suspend the machine with "
                    "memory in a .vmem file",
                    file_->path()));
            memory_at_ = tag.at;
            memory_size_ = tag.size;
        } else if (tag.name == "regionsCount" && tag.indexes.empty()) {
            region_count_ = tag.number();
        } else if (tag.indexes.size() == 1 && tag.indexes[0] < most_regions) {
            Region& region = regions_[tag.indexes[0]];
            if (tag.name == "regionPPN") region.machine_page = tag.number();
            else if (tag.name == "regionPageNum") region.file_page = tag.number();
            else if (tag.name == "regionSize") region.pages = tag.number();
        }
    }

    void cpu_tag(const Tag& tag) {
        if (tag.indexes.empty() || tag.indexes[0] >= most_cpus) return;
        if (tag.block) return block_of_registers(tag);
        static constexpr std::array<std::string_view, 16> names = {"rax", "rcx", "rdx", "rbx", "rsp", "rbp", "rsi", "rdi",
                                                                   "r8",  "r9",  "r10", "r11", "r12", "r13", "r14", "r15"};
        const auto found = std::find(names.begin(), names.end(), tag.name);
        Cpu& cpu = cpus_[tag.indexes[0]];
        X86Registers& registers = cpu.registers;
        if (found != names.end()) {
            registers.general[found - names.begin()] = tag.number();
            cpu.has_rsp |= tag.name == "rsp";
        } else if (tag.name == "rip") {
            registers.rip = tag.number();
            cpu.has_rip = true;
        } else if (tag.name == "eflags" || tag.name == "EFLAGS") registers.flags = tag.number();
        else if (tag.name == "CR64" && tag.indexes.size() == 2) control_register(registers, tag.indexes[1], tag.number());
    }

    static void control_register(X86Registers& registers, uint32_t which, uint64_t value) {
        if (which == 0) registers.cr0 = value;
        else if (which == 3) registers.cr3 = value;
        else if (which == 4) registers.cr4 = value;
    }

    // Older files: the registers of a CPU in a row, and the control registers.
    void block_of_registers(const Tag& tag) {
        static constexpr std::array<int, 16> order = {0, 1, 2, 3, 5, 4, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15}; // rbp before rsp
        const bool general = tag.name == "gpregs" && tag.size == 8 * order.size(), control = tag.name == "CR64" && tag.size == 72;
        if (!general && !control) return;
        const auto bytes = file_->read(FileOffset(tag.at), tag.size);
        const auto word = [&](size_t i) { return load<uint64_t>(bytes.data() + 8 * i, ByteOrder::little); };
        Cpu& cpu = cpus_[tag.indexes[0]];
        for (size_t i = 0; general && i < order.size(); ++i) cpu.registers.general[order[i]] = word(i);
        for (uint32_t i = 0; control && i < 5; ++i) control_register(cpu.registers, i, word(i));
        cpu.has_rsp |= general;
    }

    std::unique_ptr<Dump> finish() {
        parts_.format = "VMware suspended machine";
        parts_.elf_machine = EM_X86_64;
        parts_.bytes = memory_at_ ? file_ : open_vmem(file_->path());
        parts_.offsets_are_of_the_file = memory_at_.has_value();
        map_memory();
        make_notes();
        return make_mapped_dump(std::move(parts_));
    }

    void map_memory() {
        const uint64_t base = memory_at_.value_or(0), size = memory_at_ ? memory_size_ : parts_.bytes->size();
        std::erase_if(regions_, [](const auto& r) { return !r.second.machine_page || !r.second.file_page; });
        if (regions_.size() != region_count_) // without one of them the others would be at wrong addresses
            damaged(0, fmt::format("{} of {} regions of memory are described", regions_.size(), region_count_));
        if (regions_.empty()) parts_.extents.push_back({0, size, base, 0});
        for (auto it = regions_.begin(); it != regions_.end(); ++it) {
            const Region& region = it->second;
            const uint64_t file_page = *region.file_page, machine_page = *region.machine_page, most = uint64_t{1} << 50;
            const auto next = std::next(it); // without a size a region reaches to the next one
            const uint64_t behind =
                next != regions_.end() && *next->second.file_page > file_page ? *next->second.file_page : size / vmware_page;
            const uint64_t pages = region.pages.value_or(behind > file_page ? behind - file_page : 0);
            uint64_t source;
            if (file_page > most || machine_page > most || pages > most ||
                __builtin_add_overflow(base, file_page * vmware_page, &source))
                damaged(0, fmt::format("region {} of {} pages from page 0x{:x}", it->first, pages, machine_page));
            parts_.extents.push_back({machine_page * vmware_page, (machine_page + pages) * vmware_page, source, it->first});
        }
    }

    void make_notes() {
        std::vector<Note> controls;
        for (unsigned i = 0; i < cpus_.size(); ++i) {
            const auto found = cpus_.find(i);
            if (found == cpus_.end() || !found->second.has_rip || !found->second.has_rsp) {
                parts_.warnings.push_back(
                    fmt::format("{}: the registers of CPU {} are not in the file; none are used", file_->path(), i));
                parts_.notes.clear();
                return;
            }
            X86Registers& registers = found->second.registers;
            const bool kernel = registers.rip >> 63;
            registers.segments[X86Registers::cs] = kernel ? 0x10 : 0x33; // __KERNEL_CS, __USER_CS
            registers.segments[X86Registers::ss] = kernel ? 0x18 : 0x2b;
            parts_.notes.push_back(x86_prstatus(registers, i));
            controls.push_back(x86_control(registers));
        }
        parts_.notes.insert(parts_.notes.end(), controls.begin(), controls.end());
    }

    std::shared_ptr<const ByteSource> file_;
    MappedParts parts_;
    std::map<uint32_t, Region> regions_;
    std::map<uint32_t, Cpu> cpus_;
    std::optional<uint64_t> memory_at_;
    uint64_t memory_size_ = 0, region_count_ = 0;
};

std::unique_ptr<Dump> open(std::vector<std::shared_ptr<const ByteSource>> files) {
    if (files.size() > 1)
        throw FileError(
            fmt::format("{}: a VMware dump is one file and its .vmem; {} is another dump", files[0]->path(), files[1]->path()));
    return Reader(files.front()).open();
}

} // namespace

std::shared_ptr<const ByteSource> open_vmem(const std::string& path) {
    const size_t dot = path.rfind('.'), slash = path.rfind('/');
    const bool has_extension = dot != std::string::npos && (slash == std::string::npos || dot > slash);
    const std::string beside = (has_extension ? path.substr(0, dot) : path) + ".vmem";
    try {
        auto file = open_file(beside);
        if (file->size() > 0) return file;
    } catch (const FileError&) { // said below
    }
    throw FileError(fmt::format("{}: has no memory in it; its memory must lie beside it as {}", path, beside));
}

extern const DumpFormat vmware_format;
const DumpFormat vmware_format{"VMware suspended machine", probe, open};

} // namespace kcrash
