// SPDX-License-Identifier: GPL-3.0-or-later
// Tables, facts and questions of an input.
#include "tests/fuzz/walks.hpp"
#include "core/dump/notes.hpp"
#include "core/error.hpp"
#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <map>
#include <sstream>

namespace kcrash::fuzz {
namespace {

constexpr uint64_t most_ram = 16 << 20; // bytes of a range: what looks for the kernel's note reads all of it, and all of it may be there
constexpr size_t record_size = 17, most_pages = 256, most_questions = 64;

class Machine final : public Dump, public KernelFacts {
public:
    Machine(ByteOrder order, std::string_view text, std::vector<Note> notes) : order_(order), found_(std::move(notes)) {
        info_.page_size = 4096;
        std::istringstream lines{std::string(text)};
        for (std::string line; std::getline(lines, line);) read_line(line);
    }

    void put(uint64_t address, uint64_t value, unsigned size) {
        address &= ~uint64_t{size - 1};
        const uint64_t page_bytes = info_.page_size;
        if (pages_.size() >= most_pages && !pages_.contains(address / page_bytes)) return;
        auto& page = pages_.try_emplace(address / page_bytes, page_bytes).first->second;
        store(page.data() + address % page_bytes, value, size);
    }
    void fill(uint64_t value) { fill_ = value; }

    Fault try_read_page(PageFrame frame, std::span<std::byte> into) const override {
        const auto it = pages_.find(frame.value);
        if (it != pages_.end()) std::memcpy(into.data(), it->second.data(), into.size());
        else if (!fill_) return Fault::not_in_dump;
        else
            for (size_t at = 0; at < into.size(); at += 8) store(into.data() + at, *fill_, 8);
        return Fault::none;
    }
    std::vector<PhysicalRange> memory() const override { return ram_; }
    std::optional<PageFrame> frame_of_machine(PageFrame machine) const override { // as in a Xen domain, some frames of the machine are others'
        if (machine.value < machine_offset_) return std::nullopt;
        return PageFrame(machine.value - machine_offset_);
    }
    std::optional<uint64_t> number(std::string_view name) const override { return look("number", name); }
    std::optional<uint64_t> symbol(std::string_view name) const override { return look("symbol", name); }
    std::optional<uint64_t> option(std::string_view name) const override { return look("option", name); }
    std::span<const Note> notes() const override { return found_; }
    std::optional<std::string_view> text(std::string_view key) const override {
        const auto it = texts_.find(key);
        return it == texts_.end() ? std::nullopt : std::optional<std::string_view>(it->second);
    }
    uint64_t page_size() const override { return info_.page_size; }

private:
    void store(std::byte* at, uint64_t value, unsigned size) const {
        for (unsigned i = 0; i < size; ++i) at[i] = static_cast<std::byte>(value >> 8 * (order_ == ByteOrder::little ? i : size - 1 - i));
    }
    std::optional<uint64_t> look(std::string_view kind, std::string_view name) const {
        const auto it = numbers_.find(std::string(kind) + " " + std::string(name));
        return it == numbers_.end() ? std::nullopt : std::optional(it->second);
    }
    void read_line(const std::string& line) {
        std::istringstream words(line);
        std::string key, first, second;
        words >> key >> first >> second;
        const auto hex = [](const std::string& text) { return std::strtoull(text.c_str(), nullptr, 16); };
        if (key == "page_size") {
            if (const uint64_t size = std::strtoull(first.c_str(), nullptr, 10); possible_page_size(size) && size <= 65536) info_.page_size = size;
        } else if (key == "machine_frames") {
            info_.machine_frames = true;
            machine_offset_ = hex(first);
        } else if (key == "text") texts_[first] = second;
        else if (key == "ram" && hex(first) < hex(second))
            ram_.push_back({PhysicalAddress{hex(first)}, PhysicalAddress{std::min(hex(second), hex(first) + most_ram)}});
        else if (key == "symbol") numbers_[key + " " + first] = hex(second);
        else numbers_[key + " " + first] = second.find_first_not_of("0123456789") == std::string::npos ? std::strtoull(second.c_str(), nullptr, 10) : hex(second);
    }

    ByteOrder order_;
    std::vector<Note> found_;
    std::map<std::string, uint64_t, std::less<>> numbers_;
    std::map<std::string, std::string, std::less<>> texts_;
    std::vector<PhysicalRange> ram_;
    std::map<uint64_t, std::vector<std::byte>> pages_;
    std::optional<uint64_t> fill_;
    uint64_t machine_offset_ = 0;
};

struct Question {
    char kind;
    uint64_t value;
};

void ask(const Translator& translator, const AddressSpace& space, uint64_t address) {
    Translation quick;
    const Fault fault = translator.try_translate(VirtualAddress{address}, quick);
    const Walk walk = translator.walk(VirtualAddress{address});
    if (walk.steps.size() > 6 || walk.fault != fault) std::abort();
    if (fault == Fault::none) {
        if (quick.page_size == 0 || (quick.page_size & (quick.page_size - 1)) != 0) std::abort();
        if (quick.physical.value != walk.result.physical.value || quick.page_size != walk.result.page_size) std::abort();
    }
    std::byte bytes[40];
    (void)space.try_read(VirtualAddress{address}, bytes);
    (void)space.try_read(VirtualAddress{address}, std::span(bytes).first(8)); // from the cache
}

using Make = std::function<std::unique_ptr<Translator>()>;

// Every question of one kind, in one address space.
void ask_all(const Make& make, const PhysicalMemory& physical, ByteOrder order, const std::vector<Question>& questions, char kind) {
    try {
        const std::unique_ptr<Translator> translator = make();
        const AddressSpace space(physical, make(), order, "virtual");
        for (const Question& question : questions)
            if (question.kind == kind) ask(*translator, space, question.value);
    } catch (const Error&) {} // a fact is missing
}

// What needs no tables.
void use_facts(const Architecture& arch, const Machine& machine, uint64_t value) {
    (void)arch.canonical(value);
    (void)arch.kernel_address(value);
    (void)arch.describe_entry(machine, value);
    (void)arch.swap_entry(machine, value);
    if (arch.direct_map) (void)arch.direct_map(machine);
    if (arch.vmemmap_frame) (void)arch.vmemmap_frame(machine);
    if (arch.signature_bits) (void)arch.signature_bits(machine);
    Registers registers;
    for (unsigned number = 0; number < Registers::max; number += 1 + value % 3) registers.set(number, value >> number % 64);
    (void)arch.plausible(registers, value % 2 ? value << 24 : 0);
    (void)arch.user_mode(registers);
    std::byte code[16];
    for (unsigned i = 0; i < sizeof code; ++i) code[i] = static_cast<std::byte>(value >> 8 * (i % 8));
    if (arch.call_target) (void)arch.call_target(std::span(code).first(arch.call_size), value);
}

} // namespace

bool walk_tables(const Architecture& arch, std::span<const std::byte> input) {
    const std::string_view all(reinterpret_cast<const char*>(input.data()), input.size());
    const size_t end = all.find('\0');
    if (end == std::string_view::npos || input.size() - end < 3) return false;
    const size_t size = load<uint16_t>(input.data() + end + 1, ByteOrder::little);
    if (size > input.size() - end - 3) return false;
    std::vector<std::string> warnings;
    Machine machine(arch.order, all.substr(0, end), parse_notes(input.subspan(end + 3, size), arch.order, warnings));
    std::vector<Question> questions;
    uint64_t root = 0;
    for (auto left = input.subspan(end + 3 + size); left.size() >= record_size; left = left.subspan(record_size)) {
        const char kind = static_cast<char>(left[0]);
        const auto first = load<uint64_t>(left.data() + 1, ByteOrder::little), second = load<uint64_t>(left.data() + 9, ByteOrder::little);
        if (kind == 'e') machine.put(first, second, 8);
        else if (kind == 'w') machine.put(first, second, 4);
        else if (kind == 'f') machine.fill(first);
        else if (kind == 'r') root = first;
        else if (questions.size() < most_questions) questions.push_back({kind, first});
    }
    const PhysicalMemory physical(machine, size_t{1} << 20);
    ask_all([&] { return arch.kernel_translator(physical, machine); }, physical, arch.order, questions, 'k');
    ask_all([&] { return arch.user_translator(physical, machine, PhysicalAddress{root}); }, physical, arch.order, questions, 'u');
    if (arch.find_vmcoreinfo) (void)arch.find_vmcoreinfo(physical);
    for (const Question& question : questions) use_facts(arch, machine, question.value);
    return true;
}

std::string walk_machine(const std::string& fixture) {
    const size_t at = fixture.find("\nmachine ");
    return at == std::string::npos ? "" : fixture.substr(at + 9, fixture.find('\n', at + 1) - at - 9);
}

namespace {

bool is_big(std::string_view machine) {
    for (const Architecture* arch : architectures())
        if (machine == arch->name) return arch->order == ByteOrder::big;
    return false;
}

} // namespace

std::vector<std::byte> walk_input(const std::string& fixture) {
    std::string text, records;
    const auto record = [&](char kind, uint64_t first, uint64_t second) {
        records += kind;
        for (const uint64_t word : {first, second})
            for (unsigned i = 0; i < 8; ++i) records += static_cast<char>(word >> 8 * i);
    };
    std::istringstream lines(fixture);
    unsigned word = 8;
    bool turned = false; // entries are of the other byte order than the machine
    for (std::string line; std::getline(lines, line);) {
        std::istringstream words(line);
        std::string key, first;
        words >> key >> first;
        const auto value = [&] { return std::strtoull(first.c_str(), nullptr, 16); };
        if (key.empty() || key[0] == '#' || key == "machine") continue;
        if (key.back() == ':')
            record(word == 8 ? 'e' : 'w', std::strtoull(key.c_str(), nullptr, 16), turned ? swap_bytes(value()) >> (64 - 8 * word) : value());
        else if (key == "order") turned = (first == "big") != is_big(walk_machine(fixture));
        else if (key == "word") word = static_cast<unsigned>(value());
        else if (key == "root") record('r', value(), 0);
        else if (key == "kernel" || key == "user") record(key[0], value(), 0);
        else if (key == "entry" || key == "swap") record('d', value(), 0);
        else text += line + "\n";
    }
    const std::string input = text + std::string(3, '\0') + records;
    const auto bytes = std::as_bytes(std::span(input));
    return {bytes.begin(), bytes.end()};
}

} // namespace kcrash::fuzz
