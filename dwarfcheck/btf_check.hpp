// SPDX-License-Identifier: GPL-3.0-or-later
// BTF's reading beside DWARF's, name by name.
#pragma once
#include "dwarfcheck/dwarf_check.hpp"
#include "symbols/btf.hpp"
#include <set>

namespace kcrash::dwarfcheck {

// kcrash's own reader of BTF (symbols/btf.cpp) is what is judged. The files and the texts must outlive it.
class BtfCheck {
public:
    BtfCheck(Texts& texts, Findings& findings) : texts_(texts), findings_(findings) {}
    // base: the kernel's file, for a module; null: none was given. False: there is no BTF that could be compared, and the findings
    // say why. A BTF that cannot be read is a difference.
    bool open(const ElfFile& file, const ElfFile* base);
    void run(const DistinctDefinitions& dwarf);

private:
    std::unique_ptr<BtfSource> open_source(const ElfFile& file, const BtfSource* base);
    void read(const BtfSource& source, const BtfSource* base, bool own);
    void keep(const Type& type, Describer& describer, bool own);
    void read_dwarf(const DistinctDefinitions& dwarf);
    void compare();

    // Definitions by what they are called; of those that stand for the same thing one.
    struct Side {
        std::deque<Placed> all;
        std::unordered_map<std::string, std::vector<const Placed*>> by_title;
        std::unordered_map<uint64_t, Placed*> by_hash;
        void add(Placed placed);
        bool has(const Definition& definition) const { return by_hash.contains(hash(definition)); }
        const Placed* nearest(const Definition& definition) const; // of those of that title; null: none
    };

    Texts& texts_;
    Findings& findings_;
    std::unique_ptr<BtfSource> base_, source_;
    Side dwarf_, own_, known_; // own_: of the file itself; known_: with the kernel's
};

} // namespace kcrash::dwarfcheck
