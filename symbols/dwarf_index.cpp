// SPDX-License-Identifier: GPL-3.0-or-later
#include "symbols/dwarf_index.hpp"
#include "symbols/hash.hpp"
#include "symbols/symbol_image.hpp"
#include <array>
#include <unordered_set>

namespace kcrash {
namespace {

class IndexNames final : public DwarfNameVisitor {
public:
    explicit IndexNames(uint64_t string_bytes) : string_bytes_(string_bytes) {}

    bool name(const DwarfName& found) override {
        // A static inline function of a header stands in hundreds of units; two static variables of one name are two variables.
        if (found.letter == 'v' || !seen_before(found)) builder_.add(found.entry, 0, found.name, found.letter);
        return true;
    }

    std::vector<std::byte> build() { return builder_.build(); }

private:
    // Types stand in every unit that uses them: the first definition is as good as any.
    bool seen_before(const DwarfName& found) {
        if (found.string_offset >= string_bytes_) return !seen_names_.insert(hash_name(found.name) ^ static_cast<uint64_t>(found.letter)).second;
        std::vector<bool>& seen = seen_strings_[static_cast<unsigned char>(found.letter)];
        if (seen.empty()) seen.resize(string_bytes_);
        if (seen[found.string_offset]) return true;
        seen[found.string_offset] = true;
        return false;
    }

    uint64_t string_bytes_;
    std::array<std::vector<bool>, 256> seen_strings_;
    std::unordered_set<uint64_t> seen_names_;
    SymbolImageBuilder builder_;
};

} // namespace

std::vector<std::byte> index_dwarf(const ElfFile& file, bool with_types, const DwarfSections& section, const ProgressMaker& progress) {
    IndexNames names(section(".debug_str").size());
    visit_dwarf_names(file, with_types, section, names, progress);
    return names.build();
}

} // namespace kcrash
