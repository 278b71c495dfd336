// SPDX-License-Identifier: GPL-3.0-or-later
// Writing a .gdb_index, all of it little-endian:
//
//     u32 version 8 | u32 offsets of the five parts below
//     units       u64 offset, u64 size            of each in .debug_info
//     (units of types: none)
//     addresses   u64 begin, u64 end, u32 unit    of each piece of code
//     names       u32 name, u32 units             a hash table of 2^n slots, both 0 in an empty one; offsets in the pool
//     pool        for each set of units: u32 count, then u32 unit | attributes << 24; behind them the names, each with its NUL
//
// Attributes: bits 4 to 6 the kind (1 type, 2 variable or enumerator, 3 function), bit 7 static. Names are looked up by a hash that does
// not tell upper case from lower. Many names have the same set of units, which stands there once.
//
// Specified by GDB 13's manual, appendix "Index Section Format".
#include "symbols/gdb_index.hpp"
#include "core/bytes.hpp"
#include "core/error.hpp"
#include "core/interrupt.hpp"
#include "symbols/hash.hpp"
#include <algorithm>
#include <dwarf.h>
#include <fmt/format.h>
#include <unordered_map>

namespace kcrash {
namespace {

constexpr uint32_t version = 8, header_bytes = 24;
constexpr uint32_t most_units = 1 << 24; // a unit's number has 24 bits
constexpr uint32_t of_type = 1, of_variable = 2, of_function = 3;
constexpr uint32_t static_bit = 1;

uint32_t attributes_of(char letter) {
    switch (letter) {
    case 'V': case 'D': return of_variable << 4;
    case 'v': case 'c': return of_variable << 4 | static_bit << 7;
    case 'F': return of_function << 4;
    case 'f': return of_function << 4 | static_bit << 7;
    case 's': case 'u': case 'e': case 't': case 'b': return of_type << 4 | static_bit << 7;
    default: return 0; // a function that is only declared
    }
}

// GDB writes the compiler's "long unsigned int" as people do.
std::string_view usual_name(const DwarfName& found) {
    static constexpr std::pair<std::string_view, std::string_view> names[] = {
        {"short int", "short"}, {"short unsigned int", "unsigned short"}, {"long int", "long"}, {"long unsigned int", "unsigned long"},
        {"long long int", "long long"}, {"long long unsigned int", "unsigned long long"},
    };
    if (found.letter == 'b')
        for (const auto& [compilers, usual] : names)
            if (found.name == compilers) return usual;
    return found.name;
}

bool is_plain(const DwarfUnit& unit) {
    switch (unit.language) {
    case DW_LANG_C: case DW_LANG_C89: case DW_LANG_C99: case DW_LANG_C11: case DW_LANG_Mips_Assembler: return unit.complete;
    default: return false;
    }
}

// An open hash table of numbers that are hashes themselves.
class NumberSet {
public:
    // False when it was there.
    bool insert(uint64_t number) {
        if (number == 0) number = 1;
        if (2 * ++count_ > slots_.size()) grow();
        return place(number);
    }

private:
    bool place(uint64_t number) {
        size_t at = number & (slots_.size() - 1);
        for (; slots_[at]; at = (at + 1) & (slots_.size() - 1))
            if (slots_[at] == number) return --count_, false;
        slots_[at] = number;
        return true;
    }
    void grow() {
        std::vector<uint64_t> before(std::max<size_t>(1 << 16, 2 * slots_.size()));
        before.swap(slots_);
        for (const uint64_t number : before)
            if (number) place(number);
    }
    std::vector<uint64_t> slots_;
    size_t count_ = 0;
};

class GdbNames final : public DwarfNameVisitor {
public:
    GdbNames(uint64_t string_bytes, uint64_t most_bytes) : most_bytes_(most_bytes), by_offset_(string_bytes, none) {}

    void unit(const DwarfUnit& unit) override {
        plain_ &= is_plain(unit);
        units_.push_back(unit);
    }

    bool name(const DwarfName& found) override {
        const uint32_t attributes = attributes_of(found.letter);
        if (!attributes || !plain_ || (found.letter == 'v' && !found.located)) return plain_;
        const uint32_t name = number_of(found);
        if (names_.size() > most_bytes_) return plain_ = false; // names that overlap: a damaged file
        if (found.letter == 'V') defined_[name] = true;
        const bool every = (attributes >> 4 & 7) == of_function || found.letter == 'V' || found.letter == 'v';
        if (!every && !definitions_.insert(definition(name, found))) return true; // two enums may differ in their enumerators alone
        auto& list = found.letter == 'D' ? declared_ : entries_;
        list.push_back({name, static_cast<uint32_t>(units_.size() - 1) | attributes << 24});
        return true;
    }

    void elsewhere() override { plain_ = false; }

    bool plain() const { return plain_ && !units_.empty() && units_.size() < most_units; }
    const std::vector<DwarfUnit>& units() const { return units_; }

    struct Entry { uint32_t name, unit; };
    // By name, then by unit; each once.
    std::vector<Entry> take_entries() {
        // What only the linker script or assembler defines is found where it is first declared.
        for (const Entry& entry : declared_)
            if (!defined_[entry.name]) entries_.push_back(entry);
        std::sort(entries_.begin(), entries_.end(), [](const Entry& a, const Entry& b) { return a.name != b.name ? a.name < b.name : a.unit < b.unit; });
        const auto same = [](const Entry& a, const Entry& b) { return a.name == b.name && a.unit == b.unit; };
        entries_.erase(std::unique(entries_.begin(), entries_.end(), same), entries_.end());
        return std::move(entries_);
    }
    std::string_view text(uint32_t name) const { return names_.data() + starts_[name]; }

private:
    static constexpr uint32_t none = UINT32_MAX;

    static uint64_t definition(uint32_t name, const DwarfName& found) {
        const uint64_t place = found.letter == 'D' ? 0 : found.size << 32 ^ found.line;
        return hashing::mix(name + hashing::odd1, place ^ static_cast<uint64_t>(found.letter) << 56);
    }

    uint32_t number_of(const DwarfName& found) {
        if (found.string_offset != DwarfName::no_offset && by_offset_[found.string_offset] != none) return by_offset_[found.string_offset];
        const auto [place, fresh] = by_text_.try_emplace(std::string(usual_name(found)), static_cast<uint32_t>(starts_.size()));
        if (fresh) {
            starts_.push_back(names_.size());
            defined_.push_back(false);
            names_.append(place->first);
            names_ += '\0';
        }
        if (found.string_offset != DwarfName::no_offset) by_offset_[found.string_offset] = place->second;
        return place->second;
    }

    const uint64_t most_bytes_; // of names
    bool plain_ = true;
    std::vector<DwarfUnit> units_;
    std::vector<uint32_t> by_offset_; // in .debug_str -> number of the name
    std::unordered_map<std::string, uint32_t> by_text_;
    std::string names_;
    std::vector<size_t> starts_; // in names_
    std::vector<bool> defined_;  // by name: an external variable of it is
    NumberSet definitions_;
    std::vector<Entry> entries_, declared_;
};

// Bytes that grow, little-endian.
class Bytes {
public:
    void u32(uint64_t value) { add(value, 4); }
    void u64(uint64_t value) { add(value, 8); }
    void text(std::string_view text) {
        bytes_.insert(bytes_.end(), reinterpret_cast<const std::byte*>(text.data()), reinterpret_cast<const std::byte*>(text.data() + text.size()));
        bytes_.push_back(std::byte{0});
    }
    void append(const Bytes& other) { bytes_.insert(bytes_.end(), other.bytes_.begin(), other.bytes_.end()); }
    uint32_t size() const {
        if (bytes_.size() > UINT32_MAX) throw FileError("an index of more than 4 GB");
        return static_cast<uint32_t>(bytes_.size());
    }
    std::vector<std::byte> take() { return std::move(bytes_); }

private:
    void add(uint64_t value, unsigned size) {
        for (unsigned i = 0; i < size; ++i) bytes_.push_back(static_cast<std::byte>(value >> 8 * i));
    }
    std::vector<std::byte> bytes_;
};

// The hash that GDB looks names up with; in every locale the same.
uint32_t hash_of(std::string_view name) {
    uint32_t hash = 0;
    for (const char c : name) hash = hash * 67 + static_cast<unsigned char>(c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c) - 113;
    return hash;
}

// The code of every unit. Those whose ranges cannot be read have none: GDB does not find them by address. FileError where units share lists
// of ranges, so that all of them together have more than the sections.
Bytes addresses_of(const DwarfFile& file, const std::vector<DwarfUnit>& units) {
    Bytes bytes;
    const std::scoped_lock guard(file.lock());
    size_t left = units.size() + file.section(".debug_ranges").size() + file.section(".debug_rnglists").size();
    for (size_t number = 0; number < units.size(); ++number) {
        check_interrupt();
        Dwarf_Die root;
        if (!dwarf_offdie(file.dwarf(), units[number].root, &root)) continue;
        Dwarf_Addr base = 0, begin = 0, end = 0;
        ptrdiff_t at = 0;
        while ((at = dwarf_ranges(&root, at, &base, &begin, &end)) > 0) {
            if (left-- == 0) throw FileError(fmt::format("{}: units of its DWARF share their ranges", file.file().path()));
            if (begin == 0 || begin >= end) continue; // of code that the linker left out
            bytes.u64(begin);
            bytes.u64(end);
            bytes.u32(number);
        }
    }
    return bytes;
}

struct Slot { uint32_t name = 0, units = 0; };

class Table {
public:
    explicit Table(size_t names) {
        size_t size = 1024;
        while (size * 3 < names * 4) size *= 2;
        slots_.resize(size);
    }
    void add(std::string_view text, Slot slot) {
        const uint32_t hash = hash_of(text), mask = static_cast<uint32_t>(slots_.size() - 1), step = (hash * 17 & mask) | 1;
        uint32_t at = hash & mask;
        while (slots_[at].name || slots_[at].units) at = (at + step) & mask;
        slots_[at] = slot;
    }
    Bytes bytes() const {
        Bytes result;
        for (const Slot& slot : slots_) {
            result.u32(slot.name);
            result.u32(slot.units);
        }
        return result;
    }

private:
    std::vector<Slot> slots_;
};

// The sets of units, and where each name's begins.
class Sets {
public:
    uint32_t add(std::span<const GdbNames::Entry> entries) {
        units_.clear();
        for (const auto& entry : entries) units_.push_back(entry.unit);
        auto& same = known_[hash_bytes(std::as_bytes(std::span(units_)))];
        for (const Known& known : same)
            if (known.units == units_) return known.at;
        const uint32_t at = bytes.size();
        bytes.u32(units_.size());
        for (const uint32_t unit : units_) bytes.u32(unit);
        same.push_back({units_, at});
        return at;
    }
    Bytes bytes;

private:
    struct Known { std::vector<uint32_t> units; uint32_t at; };
    std::unordered_map<uint64_t, std::vector<Known>> known_;
    std::vector<uint32_t> units_;
};

std::vector<std::byte> write(const DwarfFile& file, GdbNames& names) {
    const auto entries = names.take_entries();
    struct Named { uint32_t name, units; };
    std::vector<Named> named;
    Sets sets;
    for (size_t begin = 0; begin < entries.size();) {
        size_t end = begin;
        while (end < entries.size() && entries[end].name == entries[begin].name) ++end;
        named.push_back({entries[begin].name, sets.add(std::span(entries).subspan(begin, end - begin))});
        begin = end;
    }
    Table table(named.size());
    Bytes pool = std::move(sets.bytes);
    for (const Named& one : named) {
        const std::string_view text = names.text(one.name);
        table.add(text, {pool.size(), one.units});
        pool.text(text);
    }
    Bytes units;
    for (const DwarfUnit& unit : names.units()) {
        units.u64(unit.offset);
        units.u64(unit.size);
    }
    const Bytes addresses = addresses_of(file, names.units()), slots = table.bytes();
    Bytes whole;
    uint32_t at = header_bytes;
    whole.u32(version);
    whole.u32(at);
    whole.u32(at += units.size());
    whole.u32(at); // no units of types
    whole.u32(at += addresses.size());
    whole.u32(at += slots.size());
    whole.append(units);
    whole.append(addresses);
    whole.append(slots);
    whole.append(pool);
    (void)whole.size();
    return whole.take();
}

} // namespace

std::vector<std::byte> make_gdb_index(const DwarfFile& file, const ProgressMaker& progress) {
    const DwarfSections section = [&file](std::string_view name) { return file.section(name); };
    if (!section(".debug_types").empty()) return {};
    const auto bytes_of = [&](std::string_view name) { return section(name).size(); };
    GdbNames names(bytes_of(".debug_str"), bytes_of(".debug_str") + bytes_of(".debug_line_str") + bytes_of(".debug_info"));
    visit_dwarf_names(file.file(), true, section, names, progress);
    return names.plain() ? write(file, names) : std::vector<std::byte>{};
}

} // namespace kcrash
