// SPDX-License-Identifier: GPL-3.0-or-later
// Code of the target through the disassembler: where its bytes come from, where functions end.
#include "kernel/code.hpp"
#include "core/error.hpp"
#include "symbols/elf_file.hpp"
#include <algorithm>
#include <fmt/format.h>

namespace kcrash {
namespace {

constexpr uint64_t code_flag = 4; // SHF_EXECINSTR
constexpr uint32_t no_bits = 8;   // SHT_NOBITS

// What a dump that is whole would have: a page that was not mapped, or in swap, is not to be replaced.
bool left_out(Fault fault) {
    switch (fault) {
    case Fault::excluded:
    case Fault::excluded_or_zero:
    case Fault::not_in_dump:
    case Fault::incomplete:
    case Fault::truncated:
    case Fault::damaged:
    case Fault::io: return true;
    default: return false;
    }
}

bool copy_from_vmlinux(const Target& target, uint64_t address, std::span<std::byte> into) {
    if (!target.elf()) return false;
    const uint64_t linked = target.slide().to_linked(address);
    for (const ElfSection& section : target.elf()->sections()) {
        if (!(section.flags & code_flag) || section.type == no_bits || linked < section.address || linked - section.address >= section.size) continue;
        const std::span<const std::byte> data = target.elf()->data(section);
        const uint64_t offset = linked - section.address;
        if (offset > data.size() || data.size() - offset < into.size()) return false;
        std::copy_n(data.begin() + static_cast<ptrdiff_t>(offset), into.size(), into.begin());
        return true;
    }
    return false;
}

// Where the symbol after this one begins, in the table that has it.
uint64_t next_symbol(const Target& target, const SymbolMatch& match, uint64_t none) {
    const SymbolTable& table = match.module ? *match.module->symbols : target.symbols().kernel();
    const size_t above = table.first_above(match.symbol.address);
    return above < table.size() ? table.at(above).address : none;
}

} // namespace

CodeRange function_at(const Target& target, uint64_t address) {
    const auto match = target.symbols().containing(address);
    if (!match || !target.symbols().is_text(address)) throw LookupError(fmt::format("no function is known at 0x{:x}", address));
    const Symbol& symbol = match->symbol;
    const uint64_t end = symbol.size ? symbol.address + symbol.size : next_symbol(target, *match, address + 1);
    return {symbol.address, end, std::string(symbol.name)};
}

Code::Code(const Target& target, const AddressSpace* space, Disassembler::Name name)
    : target_(target), space_(space ? *space : target.kernel()), of_kernel_(!space),
      disassembler_(
          target.arch().code, target.arch().order == ByteOrder::big,
          [this](uint64_t address, void* into, size_t size) {
              const Fault fault = read(address, {static_cast<std::byte*>(into), size});
              if (fault != Fault::none && !failed_.size) failed_ = {fault, size};
              return fault == Fault::none;
          },
          std::move(name)) {}

Fault Code::read(uint64_t address, std::span<std::byte> into) {
    const Fault fault = space_.try_read(VirtualAddress{address}, into);
    if (fault == Fault::none || !of_kernel_ || !left_out(fault) || !copy_from_vmlinux(target_, address, into)) return fault;
    replaced_ = fault;
    return Fault::none;
}

Instruction Code::at(uint64_t address) {
    Instruction instruction;
    replaced_ = Fault::none;
    failed_ = {};
    uint64_t unreadable = address;
    auto text = disassembler_.decode(address, unreadable);
    if (!text) {
        std::vector<std::byte> again(failed_.size);
        space_.read(VirtualAddress{unreadable}, again); // throws, and names the first byte that is not there
        throw MemoryError(failed_.fault, unreadable, space_.name());
    }
    instruction.address = address;
    instruction.fault = replaced_;
    instruction.text = std::move(*text);
    // libopcodes does not tell the bytes that it used.
    instruction.bytes.resize(instruction.text.size);
    const uint64_t start = target_.arch().code.odd_options ? address & ~uint64_t{1} : address;
    read(start, instruction.bytes);
    return instruction;
}

} // namespace kcrash
