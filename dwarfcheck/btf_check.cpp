// SPDX-License-Identifier: GPL-3.0-or-later
// BTF has one definition where DWARF has one for each unit, and no offsets that lead from one to the other. So sets are compared:
// each definition of BTF must be one of DWARF's of that name, each of DWARF's one of BTF's. One that has no equal is laid beside
// the nearest of its name, and the differences of these two are what is told. An unnamed one that is part of another was compared
// with that; it is in the sets because the other side may know it as one that stands alone (dwz moves them apart).
//
// A module's BTF goes on where the kernel's ends: what its DWARF defines is in its own or in the kernel's.
#include "dwarfcheck/btf_check.hpp"
#include "core/cursor.hpp"
#include "core/error.hpp"
#include "dwarfcheck/btf_form.hpp"
#include <elf.h>
#include <fmt/format.h>

namespace kcrash::dwarfcheck {
namespace {

constexpr size_t most_candidates = 256; // of one name that are looked at for the nearest

bool is_definition(const Type& type) {
    switch (type.kind) {
    case TypeKind::structure: case TypeKind::union_type: case TypeKind::typedef_type: case TypeKind::integer: case TypeKind::boolean: case TypeKind::floating:
        return true;
    case TypeKind::enumeration: return !type.enumerators.empty(); // else declared only
    default: return false;
    }
}

// The strings of a BTF of its own begin with the empty one; those of a BTF that goes on another do not.
bool needs_base(std::span<const std::byte> bytes, ByteOrder order, const std::string& name) {
    Cursor cursor(bytes, order, name);
    cursor.seek(4);
    const uint64_t header = cursor.u32();
    cursor.skip(8);
    cursor.seek(header + cursor.u32());
    return cursor.u8() != 0;
}

size_t count_differences(const Definition& a, const Definition& b) {
    size_t count = 0;
    differences(a, "", b, "", [&](const std::string&) { ++count; });
    return count;
}

} // namespace

void BtfCheck::Side::add(Placed placed) {
    const auto [known, fresh] = by_hash.try_emplace(hash(placed.definition));
    if (!fresh) {
        known->second->part = known->second->part || placed.part;
        return;
    }
    Placed& kept = all.emplace_back(std::move(placed));
    known->second = &kept;
    by_title[title(kept.definition)].push_back(&kept);
}

const Placed* BtfCheck::Side::nearest(const Definition& definition) const {
    const auto found = by_title.find(title(definition));
    if (found == by_title.end()) return nullptr;
    const Placed* best = nullptr;
    size_t least = SIZE_MAX, looked = 0;
    for (const Placed* candidate : found->second) {
        const size_t count = count_differences(candidate->definition, definition);
        if (count < least) least = count, best = candidate;
        if (++looked == most_candidates) break;
    }
    return best;
}

std::unique_ptr<BtfSource> BtfCheck::open_source(const ElfFile& file, const BtfSource* base) {
    const ElfSection* section = file.section(".BTF");
    if (!section || section->type == SHT_NOBITS) {
        findings_.skipped(fmt::format("BTF: {} has none", file.path()));
        return nullptr;
    }
    const auto bytes = file.data(*section);
    const bool split = needs_base(bytes, file.order(), ".BTF");
    if (split && !base) {
        findings_.skipped("BTF: a module's goes on where the kernel's ends, give that with --base VMLINUX");
        return nullptr;
    }
    return std::make_unique<BtfSource>(bytes, split ? base : nullptr, ".BTF");
}

bool BtfCheck::open(const ElfFile& file, const ElfFile* base) {
    try {
        if (base && !(base_ = open_source(*base, nullptr))) return false;
        source_ = open_source(file, base_.get());
        return findings_.has_btf = source_ != nullptr;
    } catch (const FileError& error) {
        findings_.difference(fmt::format("BTF cannot be read: {}", error.what()), ".BTF");
        return false;
    }
}

void BtfCheck::run(const DistinctDefinitions& dwarf) {
    if (base_) read(*base_, nullptr, false);
    read(*source_, base_.get(), true);
    read_dwarf(dwarf);
    compare();
}

void BtfCheck::read(const BtfSource& source, const BtfSource* base, bool own) {
    std::vector<const Type*> types;
    std::unordered_set<const Type*> seen;
    for (uint32_t id = base ? base->end_id() : 1; id < source.end_id(); ++id) {
        try {
            const Type* type = source.type(id);
            if (is_definition(*type) && seen.insert(type).second) types.push_back(type);
        } catch (const FileError& error) {
            findings_.difference(fmt::format("type {} of BTF cannot be read: {}", id, error.what()), ".BTF");
        }
    }
    Describer describer(texts_);
    for (const bool named : {true, false})
        for (const Type* type : types)
            if (type->name.empty() != named) keep(*type, describer, own);
}

void BtfCheck::keep(const Type& type, Describer& describer, bool own) {
    try {
        Placed placed{in_btf_form(describer.describe(type), texts_), 0, describer.is_part(type)};
        if (own) findings_.btf.add(type.kind, false), own_.add(placed);
        known_.add(std::move(placed));
    } catch (const FileError& error) {
        findings_.difference(fmt::format("{} of BTF cannot be read: {}", type.name, error.what()), ".BTF");
    }
}

void BtfCheck::read_dwarf(const DistinctDefinitions& dwarf) {
    for (const Placed& placed : dwarf.all()) dwarf_.add({in_btf_form(placed.definition, texts_), placed.offset, placed.part});
}

void BtfCheck::compare() {
    const auto tell = [&](const Placed& dwarf, const Definition& btf) {
        differences(dwarf.definition, "DWARF", btf, "BTF",
                    [&](std::string text) { findings_.difference(std::move(text), fmt::format(".debug_info+0x{:x}", dwarf.offset)); });
    };
    for (const Placed& placed : own_.all) {
        if (placed.part || dwarf_.has(placed.definition)) continue;
        if (const Placed* nearest = dwarf_.nearest(placed.definition)) tell(*nearest, placed.definition);
        else findings_.difference(fmt::format("{}: BTF has it, DWARF has not", title(placed.definition)), ".BTF");
    }
    for (const Placed& placed : dwarf_.all) {
        ++findings_.in_btf;
        if (placed.part || known_.has(placed.definition)) continue;
        if (const Placed* nearest = known_.nearest(placed.definition)) tell(placed, nearest->definition);
        else findings_.difference(fmt::format("{}: DWARF has it, BTF has not", title(placed.definition)), fmt::format(".debug_info+0x{:x}", placed.offset));
    }
}

} // namespace kcrash::dwarfcheck
