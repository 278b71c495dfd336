// SPDX-License-Identifier: GPL-3.0-or-later
// rd: memory as numbers, text or symbols.
#include "commands/session.hpp"
#include "commands/task_space.hpp"
#include "core/error.hpp"
#include "core/interrupt.hpp"
#include "kernel/slab.hpp"
#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <fmt/format.h>
#include <functional>
#include <unistd.h>

namespace kcrash {
namespace {

using Read = std::function<void(uint64_t address, std::span<std::byte> into)>;

enum class Style { hex, signed_decimal, unsigned_decimal, symbols };

// What one rd command shows, and where it reads.
struct Plan {
    uint64_t address = 0, count = 0;
    unsigned size = 8; // bytes of a value
    Style style = Style::hex;
    bool ascii = true, swap = false;
    ByteOrder order = ByteOrder::little;
    Read read;
    std::shared_ptr<const SlabAllocator> slabs; // -S and -SS
    bool slab_addresses = false;                // -SS
};

std::string printable(std::span<const std::byte> bytes) {
    std::string text;
    for (const std::byte b : bytes) {
        const char c = static_cast<char>(b);
        text += c >= ' ' && c <= '~' ? c : '.';
    }
    return text;
}

int decimal_width(unsigned size, bool is_signed) {
    switch (size) {
    case 1: return 3;
    case 2: return 5;
    case 4: return 12;
    default: return is_signed ? 15 : 20;
    }
}

std::string show(const Session& session, const Plan& plan, uint64_t value) {
    const unsigned digits = plan.size * 2;
    switch (plan.style) {
    case Style::signed_decimal: return fmt::format("{:>{}}", sign_extend(value, plan.size * 8), decimal_width(plan.size, true));
    case Style::unsigned_decimal: return fmt::format("{:>{}}", value, decimal_width(plan.size, false));
    case Style::symbols:
        if (const std::string text = session.target().symbols().describe(value); !text.empty()) return fmt::format("{:<16}", text);
        if (const std::string cache = plan.slabs ? slab_cache_name(*plan.slabs, value) : std::string{}; !cache.empty())
            return fmt::format("{:<16}", plan.slab_addresses ? fmt::format("[{:x}:{}]", value, cache) : fmt::format("[{}]", cache));
        break;
    case Style::hex: break;
    }
    return fmt::format("{:0{}x}", value, digits);
}

uint64_t value_of(const Plan& plan, std::span<const std::byte> bytes) {
    const ByteOrder order = plan.swap ? ByteOrder::big : plan.order;
    return load_unsigned(bytes, order);
}

void say_line(Session& session, const Plan& plan, uint64_t address, std::span<const std::byte> bytes) {
    std::string values, list;
    for (size_t at = 0; at < bytes.size(); at += plan.size) {
        const uint64_t value = value_of(plan, bytes.subspan(at, plan.size));
        values += show(session, plan, value) + " ";
        list += fmt::format("{}0x{:x}", list.empty() ? "" : " ", value);
    }
    std::string layout = "{address:>16}:  {text}";
    if (plan.ascii && plan.style == Style::hex) {
        const size_t full = 16 / plan.size * (plan.size * 2 + 1);
        values.resize(std::max(values.size(), full), ' ');
        layout += "  {ascii}";
    }
    session.report().record("memory", layout,
                            {{"address", AddressValue{address}}, {"size", uint64_t{plan.size}}, {"values", list},
                             {"text", values}, {"ascii", printable(bytes)}});
}

void show_memory(Session& session, const Plan& plan) {
    uint64_t address = plan.address, left = plan.count;
    std::byte buffer[16];
    while (left) {
        check_interrupt();
        const uint64_t here = std::min<uint64_t>(left, 16 / plan.size);
        uint64_t whole = 0; // values of this line that could be read
        try {
            for (; whole < here; ++whole) plan.read(address + whole * plan.size, std::span(buffer + whole * plan.size, plan.size));
        } catch (const Error&) {
            if (whole) say_line(session, plan, address, std::span(buffer, whole * plan.size));
            throw;
        }
        say_line(session, plan, address, std::span(buffer, here * plan.size));
        address += here * plan.size;
        left -= here;
    }
}

// -a: text, 60 characters a line, up to a NUL when no count was given.
void show_text(Session& session, const Plan& plan, bool counted) {
    constexpr unsigned width = 60;
    constexpr uint64_t longest = 1 << 20; // of a string whose end nobody told
    uint64_t address = plan.address, left = counted ? plan.count : longest;
    for (bool end = false; !end && left;) {
        check_interrupt();
        std::string line;
        const auto say = [&] {
            if (!line.empty())
                session.report().record("text", "{address:>16}:  {text}", {{"address", AddressValue{address}}, {"text", line}});
        };
        while (line.size() < width && left) {
            std::byte byte;
            try {
                plan.read(address + line.size(), std::span(&byte, 1));
            } catch (const Error&) {
                say();
                throw;
            }
            if (!counted && byte == std::byte{0}) {
                end = true;
                break;
            }
            const char c = static_cast<char>(byte);
            line += c >= ' ' && c <= '~' ? c : '.';
            --left;
        }
        say();
        address += line.size();
    }
}

void copy_to_file(Session& session, const Plan& plan, const std::string& path) {
    const int fd = ::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0) throw UsageError(fmt::format("{}: {}", path, std::strerror(errno)));
    uint64_t done = 0;
    std::vector<std::byte> buffer(4096);
    try {
        while (done < plan.count) {
            check_interrupt();
            const uint64_t part = std::min<uint64_t>(buffer.size() - (plan.address + done) % buffer.size(), plan.count - done);
            plan.read(plan.address + done, std::span(buffer.data(), part));
            if (::write(fd, buffer.data(), part) != static_cast<ssize_t>(part)) throw Error(fmt::format("{}: {}", path, std::strerror(errno)));
            done += part;
        }
    } catch (const Error&) {
        ::close(fd);
        session.report().note(Severity::warning, fmt::format("{} of {} bytes copied to {}", done, plan.count, path));
        throw;
    }
    ::close(fd);
    session.report().record("copied", "{bytes} bytes copied from 0x{address} to {file}",
                            {{"bytes", done}, {"address", AddressValue{plan.address}}, {"file", path}});
}

// Where to read, from -p, -u, -f, or the address itself.
Read reader(Session& session, const Invocation& invocation, uint64_t address) {
    const Target& target = session.target();
    if (invocation.has("m")) throw UsageError("-m is for machine addresses of Xen, and this is no Xen dump");
    if (invocation.has("f")) {
        auto file = open_file(target.dump().info().files.front());
        return [file](uint64_t at, std::span<std::byte> into) { file->read(FileOffset{at}, into); };
    }
    if (invocation.has("p")) return [&target](uint64_t at, std::span<std::byte> into) { target.physical().read(PhysicalAddress{at}, into); };
    if (invocation.has("u") || !target.arch().kernel_address(address)) {
        std::shared_ptr<AddressSpace> space = task_space(session, session.current());
        return [space](uint64_t at, std::span<std::byte> into) { space->read(VirtualAddress{at}, into); };
    }
    return [&target](uint64_t at, std::span<std::byte> into) { target.kernel().read(VirtualAddress{at}, into); };
}

void choose_style(const Invocation& invocation, const Target& target, Plan& plan) {
    plan.size = target.arch().word_size;
    for (const auto& [letters, bytes] : {std::pair{"8", 1u}, {"16", 2u}, {"32", 4u}, {"64", 8u}})
        if (invocation.has(letters)) plan.size = bytes;
    if (invocation.has("d")) plan.style = Style::signed_decimal;
    if (invocation.has("D")) plan.style = Style::unsigned_decimal;
    if (invocation.has("s") || invocation.has("S") || invocation.has("SS")) {
        plan.style = Style::symbols;
        plan.slab_addresses = invocation.has("SS");
        if (plan.slab_addresses || invocation.has("S")) plan.slabs = std::make_shared<SlabAllocator>(target);
        plan.size = target.arch().word_size;
    }
    plan.ascii = !invocation.has("x");
    plan.order = target.arch().order;
    plan.swap = invocation.has("N");
    if (plan.swap && (plan.size == 8 || plan.size == 1)) throw UsageError("-N is for 16-bit and 32-bit values: add -16 or -32");
}

void run(Session& session, const Invocation& invocation) {
    if (invocation.operands.empty()) throw UsageError("no address given: rd address | symbol [count]");
    Plan plan;
    choose_style(invocation, session.target(), plan);
    plan.address = session.address(invocation.operands[0]);
    if (auto offset = invocation.value("o")) plan.address += session.number(*offset);
    const bool counted = invocation.operands.size() > 1;
    plan.count = counted ? session.number(invocation.operands[1]) : 1;
    const auto file = invocation.value("r");
    const bool bytes = invocation.has("a") || file;
    if (auto end = invocation.value("e")) {
        const uint64_t last = session.address(*end);
        if (last <= plan.address) throw UsageError(fmt::format("invalid ending address: {:x}: it is not above {:x}", last, plan.address));
        plan.count = (last - plan.address) / (bytes ? 1 : plan.size);
    }
    if (plan.count > UINT64_MAX / 8 || static_cast<int64_t>(plan.count) < 0) throw UsageError(fmt::format("invalid count: {}", invocation.operands[1]));
    if (invocation.has("R") && plan.count) plan.address -= (plan.count - 1) * (bytes ? 1 : plan.size);
    plan.read = reader(session, invocation, plan.address);
    if (file) copy_to_file(session, plan, *file);
    else if (invocation.has("a")) show_text(session, plan, counted || invocation.has("e"));
    else show_memory(session, plan);
}

constexpr Option options[] = {
    {"a", "", ArgumentKind::none, "as text, 60 characters a line; without a count up to the NUL"},
    {"d", "", ArgumentKind::none, "in signed decimal"},
    {"D", "", ArgumentKind::none, "in unsigned decimal"},
    {"s", "", ArgumentKind::none, "as symbols where a value is the address of one"},
    {"S", "", ArgumentKind::none, "as -s, and the slab cache where a value is the address of an object: [cache]"},
    {"SS", "", ArgumentKind::none, "as -S, with the value: [value:cache]"},
    {"u", "", ArgumentKind::none, "the address is a user virtual address of the current task"},
    {"p", "", ArgumentKind::none, "the address is a physical address"},
    {"x", "", ArgumentKind::none, "without the text at the end of the line"},
    {"m", "", ArgumentKind::none, "the address is a machine address (Xen)"},
    {"f", "", ArgumentKind::none, "the address is an offset in the dump file"},
    {"N", "", ArgumentKind::none, "values are in network byte order; with -16 or -32"},
    {"R", "", ArgumentKind::none, "the address is that of the last value shown"},
    {"8", "", ArgumentKind::none, "8-bit values"},
    {"16", "", ArgumentKind::none, "16-bit values"},
    {"32", "", ArgumentKind::none, "32-bit values"},
    {"64", "", ArgumentKind::none, "64-bit values"},
    {"o", "offset", ArgumentKind::number, "bytes to add to the address"},
    {"e", "address", ArgumentKind::symbol_or_address, "show up to this address, without it"},
    {"r", "file", ArgumentKind::file, "copy the bytes to a file; the count is in bytes"},
};

} // namespace

extern const Command rd_command;
const Command rd_command = {
    .name = "rd",
    .summary = "read memory",
    .synopsis = "[-adDsSupxmfNR] [-8 | -16 | -32 | -64] [-o offset] [-e address] [-r file] address | symbol [count]",
    .options = options,
    .operands = ArgumentKind::symbol_or_address,
    .needs = needs_target,
    .help = R"help(Shows memory: `count` values (1 without it), two words a line, with the bytes as text at the end.
An address in the user's half belongs to the current task. Where a page cannot be read, what comes before it is shown, and
the message says why: excluded from the dump, not mapped, in swap. Nothing is shown as zero because it is missing.

Examples:
  The kernel's banner as text, and as words:
    rd -a linux_banner
    rd linux_banner 8
  A stack as symbols:
    rd -s ffffc900003dfac0 32
  Bytes of physical memory, and of the dump file:
    rd -8 -p 1000 64
    rd -f 0 16
  A page into a file:
    rd -r page.bin ffff888004a31000 4096
)help",
    .run = run,
    .in_minimal = true,
};

} // namespace kcrash
