// SPDX-License-Identifier: GPL-3.0-or-later
// swap_info[] names the swap areas.
#include "kernel/swap_file.hpp"
#include "kernel/path.hpp"
#include "kernel/word.hpp"

namespace kcrash {

std::string swap_file_name(const Target& target, unsigned type) {
    constexpr unsigned most = 32; // MAX_SWAPFILES: the type has five bits
    const auto areas = target.symbol_address("swap_info");
    if (!areas || type >= most) return {};
    const uint64_t area = word_at(target, *areas + type * uint64_t{target.arch().word_size}, "swap_info");
    return area ? file_name(target, target.object("struct swap_info_struct", area)["swap_file"].u64()) : std::string{};
}

} // namespace kcrash
