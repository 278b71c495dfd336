// SPDX-License-Identifier: GPL-3.0-or-later
// The kernel's own symbol table, as it lies in the dump: kernel/kallsyms.c, scripts/kallsyms.c.
//
// Names are packed: each is a length and that many bytes, each byte the number of a token, each token a piece of text. The first
// letter of an unpacked name is its type. Their addresses stand in a second array, in one of four ways that no version number tells:
//
//     addresses   u64 each                                        CONFIG_KALLSYMS_BASE_RELATIVE=n
//     per-cpu     s32 each: absolute if not negative, else        CONFIG_KALLSYMS_ABSOLUTE_PERCPU (x86_64 until 6.14)
//                 relative_base - 1 - value
//     base        u32 each: relative_base + value                 others
//     place       s32 each, from where the value itself stands    once kallsyms_relative_base was gone
//
// The way is told by content: it is the one that puts _stext where vmcoreinfo says it is, or else the one in ascending order.
// A length over 127 takes two bytes since 6.1 ("kallsyms: support "big" kernel symbols"); the first has its top bit set.
#include "core/error.hpp"
#include "core/interrupt.hpp"
#include "symbols/sources.hpp"
#include "symbols/symbol_image.hpp"
#include <algorithm>
#include <array>
#include <fmt/format.h>

namespace kcrash {
namespace {

constexpr uint64_t most_symbols = 1 << 24;
constexpr size_t longest_name = 4096;
constexpr uint64_t kernel_half = uint64_t{1} << 63;

// Reads memory in order, a chunk at a time, so that one byte costs nothing.
class Stream {
public:
    Stream(const AddressSpace& space, uint64_t at) : space_(space), at_(at) {}
    uint8_t next() {
        if (used_ == chunk_.size()) refill();
        return static_cast<uint8_t>(chunk_[used_++]);
    }

private:
    void refill() {
        const uint64_t page = 4096; // never beyond a page's end: the next one may be missing and not needed
        chunk_.resize(page - at_ % page);
        space_.read(VirtualAddress(at_), chunk_, "kallsyms_names");
        at_ += chunk_.size();
        used_ = 0;
    }
    const AddressSpace& space_;
    uint64_t at_;
    std::vector<std::byte> chunk_;
    size_t used_ = 0;
};

using Tokens = std::array<std::string, 256>;

Tokens read_tokens(const AddressSpace& kernel, uint64_t table, uint64_t index) {
    Tokens tokens;
    std::vector<std::byte> starts(512);
    kernel.read(VirtualAddress(index), starts, "kallsyms_token_index");
    for (size_t i = 0; i < tokens.size(); ++i)
        tokens[i] = kernel.string(VirtualAddress(table + load<uint16_t>(starts.data() + 2 * i, kernel.order())), 256, "kallsyms_token_table");
    return tokens;
}

struct Names {
    std::string text;             // type and name of each, each with a NUL at its end
    std::vector<uint32_t> starts; // in text
};

Names read_names(const AddressSpace& kernel, uint64_t at, uint64_t count, const Tokens& tokens) {
    Names names;
    names.starts.reserve(count);
    names.text.reserve(count * 24);
    Stream stream(kernel, at);
    for (uint64_t i = 0; i < count; ++i) {
        if (i % 1024 == 0) check_interrupt();
        size_t length = stream.next();
        if (length & 0x80) length = (length & 0x7f) | static_cast<size_t>(stream.next()) << 7;
        const size_t start = names.text.size();
        for (; length > 0; --length) names.text += tokens[stream.next()];
        if (names.text.size() - start > longest_name || names.text.size() == start)
            throw CorruptError(fmt::format("kallsyms_names: symbol {} of {} has a name of {} bytes", i, count, names.text.size() - start));
        names.starts.push_back(static_cast<uint32_t>(start));
        names.text.push_back('\0');
    }
    return names;
}

struct Places {
    uint64_t names, count, token_table, token_index;
    std::optional<uint64_t> offsets, relative_base, addresses;
};

std::optional<Places> find_places(const KernelFacts& facts) {
    const auto names = facts.symbol("kallsyms_names"), count = facts.symbol("kallsyms_num_syms"),
               table = facts.symbol("kallsyms_token_table"), index = facts.symbol("kallsyms_token_index");
    if (!names || !count || !table || !index) return std::nullopt;
    return Places{*names, *count, *table, *index, facts.symbol("kallsyms_offsets"), facts.symbol("kallsyms_relative_base"), facts.symbol("kallsyms_addresses")};
}

using Addresses = std::vector<uint64_t>;

// The symbols' addresses in every way that could be meant.
std::vector<Addresses> read_addresses(const AddressSpace& kernel, const Places& places, uint64_t count, unsigned word_size) {
    std::vector<Addresses> ways;
    const ByteOrder order = kernel.order();
    if (places.addresses) {
        std::vector<std::byte> raw(count * word_size);
        kernel.read(VirtualAddress(*places.addresses), raw, "kallsyms_addresses");
        Addresses& way = ways.emplace_back();
        for (uint64_t i = 0; i < count; ++i) way.push_back(load_unsigned(std::span<const std::byte>(raw).subspan(word_size * i, word_size), order));
    }
    if (!places.offsets) return ways;
    std::vector<std::byte> raw(count * 4);
    kernel.read(VirtualAddress(*places.offsets), raw, "kallsyms_offsets");
    const uint64_t whole = ~uint64_t{0} >> (64 - word_size * 8); // addresses wrap where the kernel's do
    const auto add_way = [&](auto address_of) {
        Addresses& way = ways.emplace_back();
        way.reserve(count);
        for (uint64_t i = 0; i < count; ++i) way.push_back(address_of(i, load<int32_t>(raw.data() + 4 * i, order)) & whole);
    };
    if (places.relative_base) {
        std::byte bytes[8];
        const std::span<std::byte> into(bytes, word_size);
        kernel.read(VirtualAddress(*places.relative_base), into, "kallsyms_relative_base");
        const uint64_t base = load_unsigned(into, order);
        add_way([&](uint64_t, int32_t v) { return v >= 0 ? static_cast<uint64_t>(v) : base - 1 - static_cast<uint64_t>(int64_t{v}); });
        add_way([&](uint64_t, int32_t v) { return base + static_cast<uint32_t>(v); });
    }
    add_way([&](uint64_t i, int32_t v) { return *places.offsets + 4 * i + static_cast<uint64_t>(int64_t{v}); });
    return ways;
}

// Chooses the way that agrees with `stext`, when it is known, and keeps the symbols in order.
const Addresses& choose(const std::vector<Addresses>& ways, const Names& names, std::optional<uint64_t> stext) {
    const auto agrees = [&](const Addresses& way) {
        bool seen = false;
        for (size_t i = 0; i < way.size(); ++i) {
            if (std::string_view(names.text.c_str() + names.starts[i] + 1) != "_stext") continue;
            if (way[i] == *stext) return true;
            seen = true;
        }
        return !seen;
    };
    const auto disorder = [](const Addresses& way) {
        size_t steps = 0;
        for (size_t i = 1; i < way.size(); ++i) steps += way[i] < way[i - 1] && way[i] >= kernel_half;
        const bool nothing_in_kernel = std::none_of(way.begin(), way.end(), [](uint64_t a) { return a >= kernel_half; });
        return nothing_in_kernel ? way.size() : steps;
    };
    const Addresses* best = nullptr;
    for (const Addresses& way : ways)
        if ((!stext || agrees(way)) && (!best || disorder(way) < disorder(*best))) best = &way;
    if (!best) throw CorruptError(fmt::format("kallsyms: its offsets do not put _stext at 0x{:x}, where vmcoreinfo has it", *stext));
    return *best;
}

} // namespace

std::shared_ptr<const SymbolTable> read_kallsyms(const AddressSpace& kernel, const VmcoreInfo& info, const KernelFacts& facts, unsigned word_size) {
    const auto places = find_places(facts);
    if (!places || (!places->offsets && !places->addresses)) return nullptr;
    const uint64_t count = kernel.u32(VirtualAddress(places->count), "kallsyms_num_syms");
    if (count == 0 || count > most_symbols) throw CorruptError(fmt::format("kallsyms_num_syms at 0x{:x} is {}: impossible", places->count, count));
    const Tokens tokens = read_tokens(kernel, places->token_table, places->token_index);
    const Names names = read_names(kernel, places->names, count, tokens);
    const auto ways = read_addresses(kernel, *places, count, word_size);
    const Addresses& addresses = choose(ways, names, info.symbol("_stext"));
    SymbolImageBuilder builder;
    builder.reserve(count, names.text.size());
    for (uint64_t i = 0; i < count; ++i) {
        const char* name = names.text.c_str() + names.starts[i];
        if (name[1]) builder.add(addresses[i], 0, name + 1, name[0]);
    }
    return open_symbol_image(own_bytes(builder.build()), 0, "kallsyms");
}

} // namespace kcrash
