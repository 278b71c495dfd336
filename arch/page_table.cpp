// SPDX-License-Identifier: GPL-3.0-or-later
// Walking page tables of any layout.
#include "arch/page_table.hpp"
#include <optional>

namespace kcrash {
namespace {

class TableTranslator final : public Translator {
public:
    TableTranslator(const PhysicalMemory& memory, const PageTableLayout& layout, PhysicalAddress root)
        : memory_(memory), layout_(layout), root_(root), machine_frames_(memory.dump().info().machine_frames) {}

    Fault try_translate(VirtualAddress at, Translation& result) const override { return go(at, result, nullptr); }

    Walk walk(VirtualAddress at) const override {
        Walk walk;
        walk.fault = go(at, walk.result, &walk);
        return walk;
    }

    PhysicalAddress root() const override { return root_; }

private:
    Fault go(VirtualAddress at, Translation& result, Walk* record) const {
        if (layout_.canonical && !layout_.canonical(at.value)) return Fault::noncanonical;
        PhysicalAddress table = root_;
        uint64_t first_index = 0, end_index = UINT64_MAX;
        std::optional<PageTableLevel> huge; // a level of its own, under another
        for (unsigned i = 0; i < layout_.count; ++i) {
            const PageTableLevel& level = huge ? *huge : layout_.levels[i];
            const uint64_t index = at.value >> level.shift & ((uint64_t{1} << level.bits) - 1);
            if (index < first_index || index >= end_index) return Fault::no_mapping;
            const PhysicalAddress where = table + index * layout_.entry_size;
            std::byte bytes[8];
            const Fault fault = memory_.try_read(where, std::span(bytes, layout_.entry_size));
            if (fault != Fault::none) return fault;
            const uint64_t entry = load_unsigned(std::span<const std::byte>(bytes, layout_.entry_size), layout_.order);
            if (record) record->steps.push_back({level.name, where, entry});
            const DecodedEntry decoded = layout_.decode(entry, level, huge || i + 1 == layout_.count, layout_.ignored_bits);
            switch (decoded.kind) {
            case DecodedEntry::Kind::table:
                if (huge) return Fault::bad_table;
                if (decoded.last_shift) huge = PageTableLevel{"HUGE", decoded.last_shift, level.shift - decoded.last_shift};
                table = decoded.address;
                if (machine_frames_ && !from_machine(table)) return Fault::not_in_dump;
                first_index = decoded.first_index;
                end_index = decoded.end_index;
                continue;
            case DecodedEntry::Kind::page: {
                const uint64_t page_size = uint64_t{1} << (decoded.page_bits ? decoded.page_bits : level.shift);
                result = {decoded.address + (at.value & (page_size - 1)), page_size, entry};
                if (!machine_frames_) return Fault::none;
                result.page_size = frame_bytes; // neighbours in the machine need not be neighbours in the domain
                return from_machine(result.physical) ? Fault::none : Fault::not_in_dump;
            }
            case DecodedEntry::Kind::absent: return Fault::no_mapping;
            case DecodedEntry::Kind::swap:
                if (layout_.never_swapped && layout_.never_swapped(at.value, layout_.kernel_begin)) return Fault::no_mapping;
                if (record) record->swap_entry = entry;
                return Fault::swapped;
            case DecodedEntry::Kind::invalid: return Fault::bad_table;
            }
        }
        return Fault::bad_table;
    }

    // An entry of a paravirtual domain's tables names a frame of the machine; all else is by the domain's own frames.
    bool from_machine(PhysicalAddress& address) const {
        const auto frame = memory_.dump().frame_of_machine(PageFrame(address.value / frame_bytes));
        if (frame) address = PhysicalAddress(frame->value * frame_bytes + address.value % frame_bytes);
        return frame.has_value();
    }
    static constexpr uint64_t frame_bytes = 4096; // Xen's, on every machine

    const PhysicalMemory& memory_;
    PageTableLayout layout_;
    PhysicalAddress root_;
    bool machine_frames_;
};

} // namespace

bool maps_to(const Translator& translator, VirtualAddress at, PhysicalAddress physical) {
    Translation result;
    return translator.try_translate(at, result) == Fault::none && result.physical == physical;
}

std::unique_ptr<Translator> make_translator(const PhysicalMemory& memory, const PageTableLayout& layout, PhysicalAddress root) {
    return std::make_unique<TableTranslator>(memory, layout, root);
}

} // namespace kcrash
