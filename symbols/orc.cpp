// SPDX-License-Identifier: GPL-3.0-or-later
// ORC tables, searched where they are: in the dump's memory, and in vmlinux where that page is not in the dump.
//
//      .orc_unwind_ip   int32 each, ascending: address of the code minus address of this int
//      .orc_unwind      6 or 8 bytes each, the rule that holds from that address to the next one
//
// Nothing is loaded: a search looks at some 20 ints. A table of Debian's kernel has 370,000 of them.
#include "core/memory/address_space.hpp"
#include "symbols/orc.hpp"
#include "symbols/sources.hpp"
#include <algorithm>
#include <array>
#include <atomic>

namespace kcrash {

namespace orc {
extern const Format format_loongarch64;
extern const Format format_x86_64;
} // namespace orc

namespace {

// The list of architectures that have such tables.
constexpr const orc::Format* formats[] = {&orc::format_loongarch64, &orc::format_x86_64};

class OrcTable final : public UnwindTable {
public:
    OrcTable(const AddressSpace& kernel, const OrcRange& range, const ElfFile* vmlinux, uint64_t slide, const orc::Format& format)
        : kernel_(kernel), range_(range), vmlinux_(vmlinux), slide_(slide), count_((range.ip_end - range.ip_begin) / 4), format_(format) {}

    bool tell_layout(const TypeSource* types) {
        row_of_ = format_.open(types, count_, [&](size_t index, std::span<std::byte> into) { return read_entry(index, into); });
        return row_of_ != nullptr;
    }

    std::optional<UnwindRow> find(uint64_t address) const override {
        if (address < range_.text_begin || address >= range_.text_end) return std::nullopt;
        const auto index = find_index(address);
        std::byte bytes[orc::most_entry_size];
        const auto entry = std::span(bytes).first(format_.entry_size);
        if (!index || !read_entry(*index, entry)) return std::nullopt;
        return row_of_(entry);
    }
    std::string_view source() const override { return "ORC"; }

private:
    // The last entry that begins at or below the address.
    std::optional<size_t> find_index(uint64_t address) const {
        std::atomic<uint64_t>& slot = remembered_[(address ^ address >> 10) % slots];
        const uint64_t offset = address - range_.text_begin;
        const uint64_t known = slot.load(std::memory_order_relaxed);
        if (known && known >> 32 == offset) return (known & 0xffffffff) - 1;
        size_t low = 0, high = count_; // the answer is in [low - 1, high - 1]
        while (low < high) {
            const size_t middle = low + (high - low) / 2;
            uint64_t begin = 0;
            if (!read_ip(middle, begin)) return std::nullopt;
            if (begin <= address) low = middle + 1;
            else high = middle;
        }
        if (low == 0) return std::nullopt;
        if (offset <= UINT32_MAX && low <= UINT32_MAX) slot.store(offset << 32 | low, std::memory_order_relaxed);
        return low - 1;
    }

    bool read_ip(size_t index, uint64_t& address) const {
        const uint64_t at = range_.ip_begin + index * 4;
        std::byte bytes[4];
        if (!read(at, ".orc_unwind_ip", bytes)) return false;
        address = at + static_cast<uint64_t>(sign_extend(load<uint32_t>(bytes, ByteOrder::little), 32));
        return true;
    }

    bool read_entry(size_t index, std::span<std::byte> into) const {
        return read(range_.entry_begin + index * format_.entry_size, ".orc_unwind", into);
    }

    bool read(uint64_t address, std::string_view section_name, std::span<std::byte> into) const {
        if (kernel_.try_read(VirtualAddress{address}, into) == Fault::none) return true;
        const ElfSection* section = vmlinux_ ? vmlinux_->section(section_name) : nullptr;
        if (!section) return false;
        const auto bytes = vmlinux_->data(*section);
        const uint64_t at = address - slide_ - section->address;
        if (at > bytes.size() || bytes.size() - at < into.size()) return false;
        std::copy_n(bytes.begin() + static_cast<ptrdiff_t>(at), into.size(), into.begin());
        return true;
    }

    const AddressSpace& kernel_;
    OrcRange range_;
    const ElfFile* vmlinux_;
    uint64_t slide_;
    size_t count_;
    const orc::Format& format_;
    std::function<UnwindRow(std::span<const std::byte>)> row_of_;
    // Sleeping tasks wait in few places: offset of the address in the text << 32 | index of its entry + 1; 0: free.
    static constexpr size_t slots = 1024;
    mutable std::array<std::atomic<uint64_t>, slots> remembered_{};
};

} // namespace

std::unique_ptr<UnwindTable> open_orc(const AddressSpace& kernel, const OrcRange& range, const ElfFile* vmlinux, uint64_t slide,
                                      const TypeSource* types, const Architecture& arch) {
    const auto format = std::find_if(std::begin(formats), std::end(formats), [&](const orc::Format* one) { return std::string_view(one->arch) == arch.name; });
    if (format == std::end(formats)) return nullptr;
    constexpr uint64_t most = uint64_t{1} << 28; // bytes of the table of addresses
    if (range.ip_end <= range.ip_begin || range.ip_end - range.ip_begin > most || (range.ip_end - range.ip_begin) % 4) return nullptr;
    auto table = std::make_unique<OrcTable>(kernel, range, vmlinux, slide, **format);
    if (!table->tell_layout(types)) return nullptr;
    return table;
}

} // namespace kcrash
