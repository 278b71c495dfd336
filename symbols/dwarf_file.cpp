// SPDX-License-Identifier: GPL-3.0-or-later
// Opening DWARF, and finding the unit and the function of an address without reading all of it.
#include "symbols/dwarf_file.hpp"
#include "core/error.hpp"
#include "symbols/dwarf_relocate.hpp"
#include "symbols/elf_symbols.hpp"
#include <algorithm>
#include <dwarf.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

namespace kcrash {
namespace {

constexpr size_t deepest = 256;     // blocks in a function
constexpr size_t most_ranges = 1 << 16; // of one entry

// Calls visit(begin, end) for each range of an entry.
template <typename Visit> void each_range(Dwarf_Die& entry, Visit visit) {
    Dwarf_Addr base = 0, begin = 0, end = 0;
    ptrdiff_t at = 0;
    for (size_t n = 0; n < most_ranges && (at = dwarf_ranges(&entry, at, &base, &begin, &end)) > 0; ++n)
        if (begin < end) visit(begin, end);
}

template <typename Range> const Range* range_at(const std::vector<Range>& ranges, uint64_t pc) {
    auto above = std::upper_bound(ranges.begin(), ranges.end(), pc, [](uint64_t value, const Range& range) { return value < range.begin; });
    // Ranges of damaged DWARF may overlap: a few steps back are enough for what compilers write.
    for (int steps = 0; above != ranges.begin() && steps < 8; ++steps) {
        --above;
        if (pc < above->end) return &*above;
    }
    return nullptr;
}

} // namespace

std::string_view dwarf_name(Dwarf_Die& entry) {
    Dwarf_Attribute attribute;
    const char* name = dwarf_formstring(dwarf_attr_integrate(&entry, DW_AT_name, &attribute));
    return name ? std::string_view(name) : std::string_view();
}

DwarfFile::DwarfFile(std::shared_ptr<const ElfFile> file, const Architecture& arch, Slide slide, const LoadedModule* module)
    : file_(std::move(file)), arch_(arch), slide_(file_->relocatable() ? Slide() : slide) {
    try {
        open_elf();
        if (file_->relocatable()) {
            if (!module) throw FileError(fmt::format("{}: a module's file without a module that it belongs to", file_->path()));
            relocate_dwarf(elf_, *file_, section_addresses(*file_, *module));
        }
        dwarf_ = dwarf_begin_elf(elf_, DWARF_C_READ, nullptr);
        if (!dwarf_) throw FileError(fmt::format("{}: its DWARF cannot be read: {}", file_->path(), dwarf_errmsg(-1)));
    } catch (...) {
        close();
        throw;
    }
}

DwarfFile::~DwarfFile() { close(); }

// A module is relocated in place, in memory that libelf makes private. A linked file is only read: from a mapping of our own,
// whose pages can be given back, see enter_units().
void DwarfFile::open_elf() {
    elf_version(EV_CURRENT);
    fd_ = ::open(file_->readable_path().c_str(), O_RDONLY | O_CLOEXEC);
    struct stat st {};
    if (fd_ >= 0 && file_->relocatable()) {
        elf_ = elf_begin(fd_, ELF_C_READ_MMAP_PRIVATE, nullptr);
    } else if (fd_ >= 0 && ::fstat(fd_, &st) == 0 && st.st_size > 0) {
        const auto size = static_cast<size_t>(st.st_size);
        void* base = ::mmap(nullptr, size, PROT_READ, MAP_PRIVATE, fd_, 0);
        if (base != MAP_FAILED) {
            mapped_ = {static_cast<std::byte*>(base), size};
            elf_ = elf_memory(static_cast<char*>(base), size);
        }
    }
    if (!elf_) throw FileError(fmt::format("{}: cannot be opened for its DWARF", file_->path()));
}

void DwarfFile::close() {
    if (dwarf_) dwarf_end(dwarf_);
    if (elf_) elf_end(elf_);
    if (!mapped_.empty()) ::munmap(mapped_.data(), mapped_.size());
    if (fd_ >= 0) ::close(fd_);
    dwarf_ = nullptr, elf_ = nullptr, mapped_ = {}, fd_ = -1;
}

// Before it knows any unit libdw walks over the headers of all units before it. Each look maps 16 pages: all of .debug_info, 164 MB
// for one address, would become resident. So the walk is done in steps, and the pages are given back after each.
void DwarfFile::enter_units() const {
    if (units_entered_) return;
    units_entered_ = true;
    const ElfSection* info = file_->section(".debug_info");
    if (mapped_.empty() || !info || info->flags & SHF_COMPRESSED || info->offset + info->size > mapped_.size()) return;
    constexpr uint64_t step = 8 << 20, page = 65536; // bytes; no architecture has larger pages
    Dwarf_CU* unit = nullptr;
    Dwarf_Die entry;
    uint64_t done = 0;
    while (dwarf_get_units(dwarf_, unit, &unit, nullptr, nullptr, &entry, nullptr) == 0) {
        const uint64_t at = dwarf_dieoffset(&entry);
        if (at < done + step) continue;
        const uint64_t first = (info->offset + done) & ~(page - 1), last = (info->offset + at) & ~(page - 1);
        ::madvise(mapped_.data() + first, last - first, MADV_DONTNEED);
        done = at;
    }
}

std::span<const std::byte> DwarfFile::section(std::string_view name) const {
    const ElfSection* found = file_->section(name);
    if (!found || found->type == SHT_NOBITS) return {};
    if (!file_->relocatable()) return file_->data(*found);
    const std::scoped_lock guard(lock_);
    const Elf_Data* data = elf_getdata(elf_getscn(elf_, found->index), nullptr);
    if (!data || !data->d_buf) return {};
    return {static_cast<const std::byte*>(data->d_buf), data->d_size};
}

// Some compilers write no .debug_aranges: then the units themselves say what they cover.
void DwarfFile::list_units() const {
    if (units_listed_) return;
    units_listed_ = true;
    Dwarf_CU* unit = nullptr;
    Dwarf_Die entry;
    uint8_t type = 0;
    while (dwarf_get_units(dwarf_, unit, &unit, nullptr, &type, &entry, nullptr) == 0)
        if (type == DW_UT_compile || type == DW_UT_skeleton)
            each_range(entry, [&](uint64_t begin, uint64_t end) { units_.push_back({begin, end, dwarf_dieoffset(&entry)}); });
    std::stable_sort(units_.begin(), units_.end(), [](const UnitRange& a, const UnitRange& b) { return a.begin < b.begin; });
}

bool DwarfFile::unit_at(uint64_t pc, Dwarf_Die& unit) const {
    enter_units();
    if (dwarf_addrdie(dwarf_, pc, &unit)) return true;
    list_units();
    const UnitRange* range = range_at(units_, pc);
    return range && dwarf_offdie(dwarf_, range->entry, &unit);
}

const std::vector<DwarfFile::Function>& DwarfFile::functions_of(Dwarf_Die& unit) const {
    const auto [it, fresh] = functions_.try_emplace(dwarf_dieoffset(&unit));
    std::vector<Function>& functions = it->second;
    if (!fresh) return functions;
    const auto list = [&](auto& self, Dwarf_Die& parent, unsigned depth) -> void {
        each_child(parent, [&](Dwarf_Die& child) {
            const int tag = dwarf_tag(&child);
            if (tag == DW_TAG_subprogram)
                each_range(child, [&](uint64_t begin, uint64_t end) { functions.push_back({begin, end, dwarf_dieoffset(&child)}); });
            else if ((tag == DW_TAG_namespace || tag == DW_TAG_module) && depth < 16)
                self(self, child, depth + 1);
            return true;
        });
    };
    list(list, unit, 0);
    std::stable_sort(functions.begin(), functions.end(), [](const Function& a, const Function& b) { return a.begin < b.begin; });
    return functions;
}

std::vector<Dwarf_Die> DwarfFile::scopes_at(uint64_t pc) const {
    std::vector<Dwarf_Die> scopes;
    Dwarf_Die entry;
    if (!unit_at(pc, entry)) return scopes;
    const Function* function = range_at(functions_of(entry), pc);
    if (!function || !dwarf_offdie(dwarf_, function->entry, &entry)) return scopes;
    for (bool deeper = true; deeper && scopes.size() < deepest;) {
        scopes.push_back(entry);
        deeper = false;
        Dwarf_Die parent = entry;
        each_child(parent, [&](Dwarf_Die& child) {
            const int tag = dwarf_tag(&child);
            const bool scope = tag == DW_TAG_lexical_block || tag == DW_TAG_inlined_subroutine || tag == DW_TAG_subprogram;
            if (!scope || dwarf_haspc(&child, pc) != 1) return true;
            entry = child;
            deeper = true;
            return false;
        });
    }
    return scopes;
}

} // namespace kcrash
