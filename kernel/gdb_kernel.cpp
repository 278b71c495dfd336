// SPDX-License-Identifier: GPL-3.0-or-later
#include "kernel/gdb_kernel.hpp"
#include "core/error.hpp"
#include "symbols/debug_files.hpp"
#include "symbols/elf_file.hpp"
#include <algorithm>
#include <charconv>
#include <elf.h>
#include <fmt/format.h>

namespace kcrash {
namespace {

// The words of a line that may name something: identifiers, numbers.
std::vector<std::string_view> words_of(std::string_view line) {
    std::vector<std::string_view> words;
    const auto part = [](char c) { return std::isalnum(static_cast<unsigned char>(c)) || c == '_'; };
    for (size_t at = 0; at < line.size();) {
        if (!part(line[at])) {
            ++at;
            continue;
        }
        size_t end = at;
        while (end < line.size() && part(line[end])) ++end;
        words.push_back(line.substr(at, end - at));
        at = end;
    }
    return words;
}

std::optional<uint64_t> hex_number(std::string_view word) {
    if (!word.starts_with("0x")) return std::nullopt;
    uint64_t value = 0;
    const auto [end, error] = std::from_chars(word.data() + 2, word.data() + word.size(), value, 16);
    return error == std::errc() && end == word.data() + word.size() ? std::optional(value) : std::nullopt;
}

std::vector<unsigned> numbers_of(const Architecture& arch) {
    std::vector<unsigned> numbers;
    for (const auto& block : {arch.prstatus, arch.pt_regs})
        for (const SavedRegister& saved : block)
            if (saved.number != arch.pc && saved.number != arch.sp && saved.number < Registers::max) numbers.push_back(saved.number);
    std::sort(numbers.begin(), numbers.end());
    numbers.erase(std::unique(numbers.begin(), numbers.end()), numbers.end());
    return numbers;
}

} // namespace

GdbKernel::GdbKernel(const Target& target, GdbHost host)
    : target_(target), host_(std::move(host)), unwinder_(target), numbers_(numbers_of(target.arch())) {}
GdbKernel::~GdbKernel() = default;

std::string GdbKernel::vmlinux() const { return target_.elf() ? target_.elf()->readable_path() : std::string(); }
uint64_t GdbKernel::to_run_time(uint64_t linked) const { return target_.slide().to_run_time(linked); }
bool GdbKernel::moved(uint64_t linked) const { return linked >= target_.slide().from; }
std::string GdbKernel::architecture() const { return target_.arch().code.name; }
bool GdbKernel::big_endian() const { return target_.arch().order == ByteOrder::big; }
std::vector<unsigned> GdbKernel::register_numbers() const { return numbers_; }
std::optional<unsigned> GdbKernel::link_register() const {
    return target_.arch().lr == no_register ? std::nullopt : std::optional(target_.arch().lr);
}

std::vector<GdbField> GdbKernel::told_fields() const {
    std::vector<GdbField> found;
    for (const ToldField& told : target_.arch().told_fields)
        if (const auto value = target_.facts().number(told.number); value && *value >> told.bits == 0)
            found.push_back({told.reg, told.field, told.first, told.bits, *value});
    return found;
}

const Task* GdbKernel::find(uint64_t task) const {
    try {
        return host_.tasks().by_address(task);
    } catch (const std::exception&) { return nullptr; }
}

std::vector<uint64_t> GdbKernel::tasks() {
    std::vector<uint64_t> addresses;
    try {
        for (const Task& task : host_.tasks().all()) addresses.push_back(task.address);
    } catch (const std::exception&) {} // there are none then
    return addresses;
}

uint64_t GdbKernel::current_task() {
    try {
        return host_.current().address;
    } catch (const std::exception&) { return 0; }
}

void GdbKernel::select_task(uint64_t task) {
    const Task* chosen = find(task);
    if (!chosen) return;
    try {
        host_.select(*chosen);
    } catch (const std::exception&) {} // it stays the one it was
}

std::string GdbKernel::task_title(uint64_t task) {
    const Task* found = find(task);
    if (!found || !found->pid) return fmt::format("task 0x{:x}", task);
    return fmt::format("pid {} (0x{:x})", *found->pid, task);
}

std::string GdbKernel::task_name(uint64_t task) {
    const Task* found = find(task);
    std::string name = found && found->comm ? *found->comm : "?";
    for (char& c : name)
        if (static_cast<unsigned char>(c) < 0x20 || static_cast<unsigned char>(c) >= 0x7f) c = '?'; // a terminal is not to be driven by it
    return name;
}

GdbRegisters GdbKernel::as_gdb(const Registers& registers) const {
    GdbRegisters result;
    for (const unsigned number : numbers_)
        if (const auto value = registers.get(number)) result.values.emplace_back(number, *value);
    result.pc = registers.get(target_.arch().pc);
    result.sp = registers.get(target_.arch().sp);
    return result;
}

GdbRegisters GdbKernel::task_registers(uint64_t task) {
    const Task* found = find(task);
    if (!found || (found->stack && *found->stack == 0)) return {}; // a zombie's stack is gone
    try {
        const auto start = unwinder_.exact_start_of(*found);
        return start ? as_gdb(start->registers) : GdbRegisters{};
    } catch (const std::exception&) { return {}; } // not recovered: GDB shows <unavailable>
}

std::optional<GdbCaller> GdbKernel::caller(uint64_t task, const GdbRegisters& frame, bool is_return_address) {
    const Task* found = find(task);
    if (!found || !frame.pc || !frame.sp) return std::nullopt;
    Registers registers;
    for (const auto& [number, value] : frame.values) registers.set(number, value);
    registers.set(target_.arch().pc, *frame.pc);
    registers.set(target_.arch().sp, *frame.sp);
    try {
        const auto next = unwinder_.caller(*found, registers, is_return_address);
        if (!next) return std::nullopt;
        return GdbCaller{as_gdb(next->registers), next->cfa, next->interrupted, next->leaves_stack, next->cfi_leads};
    } catch (const std::exception&) { return std::nullopt; }
}

bool GdbKernel::signs_code() const { return target_.arch().signature_bits && target_.arch().signature_bits(target_.facts()) != 0; }
uint64_t GdbKernel::code_address(uint64_t value) const { return unsigned_code(target_, value); }

// ---- modules

std::optional<GdbModule> GdbKernel::open_module(const LoadedModule& module) {
    std::shared_ptr<ElfFile>& file = module_files_[module.name];
    const std::string path = !module.object_file.empty() ? module.object_file : target_.find_module_object(module).path;
    if (path.empty() || module.sections.empty()) return std::nullopt;
    if (!file || file->path() != path) {
        file = ElfFile::open(path);
        if (!file->has_dwarf())
            if (const FoundFile half = find_debug_half(*file, target_.options().debug_directories); !half.path.empty()) file = ElfFile::open(half.path);
    }
    GdbModule result{module.name, file->readable_path(), {}, {}};
    for (const LoadedModule::Section& section : module.sections) {
        const ElfSection* in_file = file->section(section.name);
        if (in_file && (in_file->flags & SHF_ALLOC)) result.sections.emplace_back(section.name, section.address); // not .symtab
    }
    return result;
}

void GdbKernel::add_module(std::vector<GdbModule>& found, const LoadedModule* module) {
    if (!module || std::any_of(found.begin(), found.end(), [&](const GdbModule& one) { return one.name == module->name; })) return;
    try {
        if (auto opened = open_module(*module)) found.push_back(std::move(*opened));
    } catch (const std::exception& error) { found.push_back({module->name, {}, {}, error.what()}); }
}

std::vector<GdbModule> GdbKernel::modules(const std::string& line) {
    std::vector<GdbModule> found;
    try {
        for (const LoadedModule& module : target_.symbols().modules())
            if (!module.object_file.empty()) add_module(found, &module);
        for (const std::string_view word : words_of(line)) {
            if (const auto address = hex_number(word)) add_module(found, target_.symbols().module_of(*address));
            else if (const auto match = target_.symbols().find(word)) add_module(found, match->module);
        }
        if (const Task* task = find(current_task()))
            for (const Frame& frame : unwinder_.unwind(*task).frames) add_module(found, target_.symbols().module_of(frame.pc));
    } catch (const std::exception&) {} // no list of modules, no stack: "mod" and "bt" say why
    return found;
}

// ---- memory

const AddressSpace* GdbKernel::space_of(uint64_t task) {
    auto [place, fresh] = user_spaces_.try_emplace(task);
    const Task* found = fresh ? find(task) : nullptr;
    if (found && found->mm.value_or(0)) try {
        const uint64_t top = target_.object("struct mm_struct", *found->mm)["pgd"].u64();
        place->second = target_.user_space(target_.kernel().translate(VirtualAddress{top}));
    } catch (const std::exception&) {} // no user space that could be read
    return place->second.get();
}

size_t GdbKernel::read(uint64_t task, uint64_t address, void* into, size_t size, std::string& reason) {
    const std::span<std::byte> bytes(static_cast<std::byte*>(into), size);
    const bool of_kernel = target_.kernel_address(address);
    const AddressSpace* space = of_kernel ? &target_.kernel() : space_of(task);
    if (!space) {
        reason = "the current task has no user space";
        return 0;
    }
    try {
        const Fault fault = space->try_read(VirtualAddress{address}, bytes);
        if (fault == Fault::none) return size;
        reason = describe(fault);
    } catch (const std::exception& error) { reason = error.what(); }
    return 0;
}

} // namespace kcrash
