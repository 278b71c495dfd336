// SPDX-License-Identifier: GPL-3.0-or-later
// ARM's unwind tables, searched where they are: in the dump's memory, and in vmlinux where that page is not in the dump.
//
//      index, ascending      word 0: the function's address, as a 31-bit distance from this word
//                            word 1: 1: it cannot be unwound
//                                    bit 31 set: three instructions, 0x80 above them
//                                    else: where its entry lies, as a 31-bit distance from this word
//      entry                 0x80, and three instructions; or 0x81, how many words follow, and two instructions, then those words
//
// Instructions are bytes, the highest of a word first. They move a virtual stack pointer and pop registers off it, as the function
// will when it returns; in the end it is the caller's. Here they are run once without values: the virtual stack pointer is a register
// and an offset, and what is popped becomes a rule for that place.
//
// Specified by "Exception Handling ABI for the Arm Architecture" (IHI 0038), 6 and 10.3; the kernel's reader is arch/arm/kernel/unwind.c.
#include "symbols/ehabi.hpp"
#include "core/bytes.hpp"
#include "core/memory/address_space.hpp"
#include "symbols/elf_file.hpp"
#include <algorithm>
#include <array>
#include <bit>

namespace kcrash {
namespace ehabi {
namespace {

enum : unsigned { r4 = 4, r11 = 11, sp = 13, lr = 14, pc = 15 };
constexpr int64_t word = 4;

class Machine {
public:
    explicit Machine(std::span<const std::byte> code) : code_(code) {}

    std::optional<UnwindRow> run() {
        while (at_ < code_.size()) {
            const unsigned instruction = next();
            if (instruction == 0xb0) break; // finish
            if (!execute(instruction)) return std::nullopt;
        }
        return row();
    }

private:
    unsigned next() { return at_ < code_.size() ? static_cast<unsigned>(code_[at_++]) : 0xb0; }

    bool execute(unsigned instruction) {
        const unsigned low3 = instruction & 7;
        switch (instruction >> 4) {
        case 0x0: case 0x1: case 0x2: case 0x3: return move(((instruction & 0x3f) << 2) + 4);
        case 0x4: case 0x5: case 0x6: case 0x7: return move(-static_cast<int64_t>(((instruction & 0x3f) << 2) + 4));
        case 0x8: {
            const unsigned mask = (instruction & 0xf) << 8 | next();
            return mask && pop(mask << r4); // 0: refuses to be unwound
        }
        case 0x9: return set(instruction & 0xf);
        case 0xa: return pop(((2u << low3) - 1) << r4 | (instruction & 8 ? 1u << lr : 0));
        case 0xb: return execute_b(instruction);
        case 0xc: return execute_c(instruction);
        case 0xd: return !(instruction & 8) && move(8 * (low3 + 1)); // D8 and up
        default: return false;
        }
    }

    bool execute_b(unsigned instruction) {
        if (instruction >= 0xb8) return move(8 * ((instruction & 7) + 1) + 4); // D8 and up, as FSTMFDX
        switch (instruction) {
        case 0xb1: {
            const unsigned mask = next();
            return mask && mask < 16 && pop(mask);
        }
        case 0xb2: return move(0x204 + static_cast<int64_t>(uleb() << 2));
        case 0xb3: return move(8 * ((next() & 0xf) + 1) + 4);
        default: return false;
        }
    }

    // Registers of coprocessors: only their size matters.
    bool execute_c(unsigned instruction) {
        switch (instruction) {
        case 0xc6: case 0xc8: case 0xc9: return move(8 * ((next() & 0xf) + 1));
        case 0xc7: {
            const unsigned mask = next();
            return mask && mask < 16 && move(word * std::popcount(mask));
        }
        default: return instruction < 0xc6 && move(8 * ((instruction & 7) + 1));
        }
    }

    uint64_t uleb() {
        constexpr unsigned most = 28; // bits: no stack is larger
        uint64_t value = 0;
        for (unsigned shift = 0; shift < most; shift += 7) {
            const unsigned byte = next();
            value |= uint64_t{byte & 0x7f} << shift;
            if (!(byte & 0x80)) break;
        }
        return value;
    }

    bool move(int64_t distance) {
        offset_ += distance;
        return true;
    }

    // A register that was popped before is not this frame's any more.
    bool set(unsigned number) {
        if (number == sp || number == pc || places_[number]) return false;
        base_ = number;
        offset_ = 0;
        return true;
    }

    // Code that pops the stack pointer itself is that of exceptions, which others know better.
    bool pop(unsigned mask) {
        if (mask & 1u << sp) return false;
        for (unsigned number = 0; number < places_.size(); ++number) {
            if (!(mask >> number & 1)) continue;
            places_[number] = Place{base_, offset_};
            offset_ += word;
        }
        return true;
    }

    std::optional<UnwindRow> row() const {
        UnwindRow row;
        row.frame = UnwindRow::Frame::call;
        row.source = "EHABI";
        row.cfa_register = base_;
        row.cfa_offset = offset_;
        const auto& back = places_[pc] ? places_[pc] : places_[lr];
        if (back && back->base != base_) return std::nullopt;
        row.rules.push_back({pc, back ? rule_of(*back) : RegisterRule{RegisterRule::Kind::in_register, lr, 0}});
        row.rules.push_back({sp, {RegisterRule::Kind::cfa_plus, 0, 0}});
        for (unsigned number = r4; number <= r11; ++number)
            row.rules.push_back({number, places_[number] ? rule_of(*places_[number]) : RegisterRule{RegisterRule::Kind::same, number, 0}});
        return row;
    }

    struct Place {
        unsigned base; // register of this frame
        int64_t offset;
    };

    RegisterRule rule_of(const Place& place) const {
        if (place.base == base_) return {RegisterRule::Kind::at_cfa, 0, place.offset - offset_};
        return {RegisterRule::Kind::at_register, place.base, place.offset};
    }

    std::span<const std::byte> code_;
    size_t at_ = 0;
    unsigned base_ = sp;
    int64_t offset_ = 0;
    std::array<std::optional<Place>, 16> places_;
};

} // namespace

std::optional<UnwindRow> interpret(std::span<const std::byte> instructions) { return Machine(instructions).run(); }

} // namespace ehabi

namespace {

constexpr uint64_t entry_size = 8;
constexpr uint32_t cannot_unwind = 1, inline_bit = 0x80000000;

class EhabiTable final : public UnwindTable {
public:
    EhabiTable(const AddressSpace& kernel, const EhabiRange& range, const ElfFile* vmlinux, uint64_t slide)
        : kernel_(kernel), range_(range), vmlinux_(vmlinux), slide_(slide) {}

    std::optional<UnwindRow> find(uint64_t address) const override {
        if (address < range_.text_begin || address >= range_.text_end) return std::nullopt;
        const auto entry = find_entry(address);
        const auto told = entry ? read_word(*entry + 4) : std::nullopt;
        if (!told || *told == cannot_unwind) return std::nullopt;
        std::vector<std::byte> code;
        if (*told & inline_bit) add_bytes(code, *told, 3);
        else if (!read_entry(far_address(*entry + 4, *told), code)) return std::nullopt;
        return ehabi::interpret(code);
    }
    std::string_view source() const override { return "EHABI"; }

private:
    // The last index entry whose function begins at or below the address.
    std::optional<uint64_t> find_entry(uint64_t address) const {
        uint64_t low = 0, high = (range_.index_end - range_.index_begin) / entry_size; // the answer is in [low - 1, high - 1]
        while (low < high) {
            const uint64_t middle = low + (high - low) / 2, at = range_.index_begin + middle * entry_size;
            const auto distance = read_word(at);
            if (!distance) return std::nullopt;
            if (far_address(at, *distance) <= address) low = middle + 1;
            else high = middle;
        }
        return low ? std::optional(range_.index_begin + (low - 1) * entry_size) : std::nullopt;
    }

    bool read_entry(uint64_t at, std::vector<std::byte>& code) const {
        const auto first = read_word(at);
        if (!first) return false;
        switch (*first >> 24) { // which of the ABI's own routines reads it
        case 0x80: add_bytes(code, *first, 3); return true;
        case 0x81: break;
        default: return false;
        }
        add_bytes(code, *first, 2);
        for (uint32_t i = 1; i <= (*first >> 16 & 0xff); ++i) {
            const auto more = read_word(at + i * 4);
            if (!more) return false;
            add_bytes(code, *more, 4);
        }
        return true;
    }

    static void add_bytes(std::vector<std::byte>& code, uint32_t value, unsigned count) {
        for (unsigned i = count; i-- > 0;) code.push_back(static_cast<std::byte>(value >> 8 * i));
    }

    static uint64_t far_address(uint64_t at, uint32_t distance) {
        return (at + static_cast<uint64_t>(sign_extend(distance & 0x7fffffff, 31))) & 0xffffffff;
    }

    std::optional<uint32_t> read_word(uint64_t address) const {
        std::byte bytes[4];
        if (kernel_.try_read(VirtualAddress{address}, bytes) == Fault::none) return load<uint32_t>(bytes, ByteOrder::little);
        for (const char* name : {".ARM.unwind_idx", ".ARM.unwind_tab"}) {
            const ElfSection* section = vmlinux_ ? vmlinux_->section(name) : nullptr;
            if (!section) continue;
            const auto data = vmlinux_->data(*section);
            const uint64_t at = address - slide_ - section->address;
            if (at < data.size() && data.size() - at >= sizeof bytes) return load<uint32_t>(data.data() + at, ByteOrder::little);
        }
        return std::nullopt;
    }

    const AddressSpace& kernel_;
    EhabiRange range_;
    const ElfFile* vmlinux_;
    uint64_t slide_;
};

} // namespace

std::unique_ptr<UnwindTable> open_ehabi(const AddressSpace& kernel, const EhabiRange& range, const ElfFile* vmlinux, uint64_t slide) {
    constexpr uint64_t most = uint64_t{1} << 26; // bytes of the index
    if (range.index_end <= range.index_begin || range.index_end - range.index_begin > most) return nullptr;
    return std::make_unique<EhabiTable>(kernel, range, vmlinux, slide);
}

} // namespace kcrash
