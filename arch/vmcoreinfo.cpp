// SPDX-License-Identifier: GPL-3.0-or-later
// The list of architectures whose kernels leave a pointer to vmcoreinfo at a known place: one line each.
#include "arch/vmcoreinfo.hpp"

namespace kcrash {
namespace {

struct Finder {
    std::string_view arch;
    std::string (*find)(const PhysicalMemory& memory);
};
constexpr Finder finders[] = {{"s390x", s390x_vmcoreinfo}};

} // namespace

std::string find_vmcoreinfo(const Architecture& arch, const PhysicalMemory& memory) {
    for (const Finder& finder : finders)
        if (finder.arch == arch.name) return finder.find(memory);
    return {};
}

} // namespace kcrash
