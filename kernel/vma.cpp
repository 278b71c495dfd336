// SPDX-License-Identifier: GPL-3.0-or-later
// Areas through the maple tree of an mm, or through the list of older kernels.
#include "kernel/vma.hpp"
#include "core/error.hpp"
#include "kernel/list.hpp"
#include "kernel/maple_tree.hpp"
#include <fmt/format.h>
#include <functional>

namespace kcrash {
namespace {

Vma read_vma(const Target& target, uint64_t address) {
    const Object vma = target.object("struct vm_area_struct", address);
    return {address, vma["vm_start"].u64(), vma["vm_end"].u64(), vma["vm_flags"].u64(), vma["vm_file"].u64()};
}

using Visit = std::function<bool(const Vma&)>;
using Damage = std::function<void(std::string)>;

// Linux 763ecb035029 ("mm: remove the vma linked list"), v6.1: mm->mmap is gone, mm->mm_mt holds the areas.
void each_vma(const Target& target, uint64_t mm, uint64_t from, uint64_t to, const Visit& visit, const Damage& damage) {
    const Object mm_struct = target.object("struct mm_struct", mm);
    const auto one = [&](uint64_t address) {
        try {
            return visit(read_vma(target, address));
        } catch (const MemoryError& error) {
            damage(fmt::format("vm_area_struct 0x{:x}: {}", address, error.what()));
            return true;
        }
    };
    if (mm_struct.has("mm_mt")) {
        walk_maple_tree(target, mm_struct["mm_mt"].address(), from, to, [&](const MapleEntry& e) { return one(e.value); }, damage);
        return;
    }
    const Member next = target.member("struct vm_area_struct", {"vm_next"});
    const WalkResult walk = walk_links(mm_struct["mmap"].u64(), 0, pointer_reader(target.kernel(), target.arch().word_size, next.offset), one);
    if (!walk.whole()) damage(fmt::format("the list of areas of mm 0x{:x}: {}", mm, walk.describe()));
}

} // namespace

std::vector<Vma> vmas(const Target& target, uint64_t mm, std::vector<std::string>& warnings) {
    std::vector<Vma> all;
    each_vma(
        target, mm, 0, ~uint64_t{0}, [&](const Vma& vma) { return all.push_back(vma), true; },
        [&](std::string text) { warnings.push_back(std::move(text)); });
    return all;
}

std::optional<Vma> find_vma(const Target& target, uint64_t mm, uint64_t address) {
    std::optional<Vma> found;
    each_vma(
        target, mm, address, address,
        [&](const Vma& vma) {
            if (address >= vma.begin && address < vma.end) found = vma;
            return !found && vma.begin <= address;
        },
        [](std::string) {});
    return found;
}

} // namespace kcrash
