// SPDX-License-Identifier: GPL-3.0-or-later
// kmem -v: the areas of vmalloc() and of what else maps kernel memory.
#include "commands/kmem_parts.hpp"
#include "core/error.hpp"
#include "kernel/vmalloc.hpp"

namespace kcrash {

// An address may also be a physical one, whose page one of the areas maps: then every page of every area is looked at.
static bool maps(const Target& target, const VmallocArea& area, uint64_t address) {
    if (address >= area.begin && address < area.end) return true;
    if (target.kernel_address(address)) return false;
    const uint64_t page = target.physical().page_size();
    if (area.end - area.begin > (uint64_t{1} << 34)) return false;
    for (uint64_t at = area.begin; at < area.end; at += page) {
        Translation place;
        if (target.kernel().try_translate(VirtualAddress(at), place) == Fault::none && place.physical.value / page == address / page) return true;
    }
    return false;
}

void kmem_vmalloc(Session& session, std::optional<uint64_t> address) {
    Report& report = session.report();
    const Target& target = session.target();
    std::vector<std::string> warnings;
    const auto areas = read_vmalloc_areas(target, warnings);
    for (const std::string& warning : warnings) report.note(Severity::warning, warning);
    bool found = false;
    report.text("   VMAP_AREA         VM_STRUCT                 ADDRESS RANGE                SIZE", true);
    for (const VmallocArea& area : areas) {
        if (address && !maps(target, area, *address)) continue;
        found = true;
        report.record("vmalloc-area", "{vmap_area:>16}  {vm_struct:>16}  {begin:>16} - {end:>16}  {size:>7}",
                      {{"vmap_area", AddressValue{area.address}},
                       {"vm_struct", AddressValue{area.vm}},
                       {"begin", AddressValue{area.begin}},
                       {"end", AddressValue{area.end}},
                       {"size", BytesValue{area.end - area.begin}},
                       {"caller", area.caller ? CellValue{SymbolValue{*area.caller, target.symbols().describe(*area.caller)}} : CellValue{Nothing{}}},
                       {"flags", area.flags ? CellValue{HexValue{*area.flags}} : CellValue{Nothing{}}},
                       {"pages", area.pages ? CellValue{*area.pages} : CellValue{Nothing{}}}});
    }
    if (address && !found) report.note(Severity::note, "no area maps that address");
}

} // namespace kcrash
