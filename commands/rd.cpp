// SPDX-License-Identifier: GPL-3.0-or-later
// rd: memory as numbers, text or symbols.
#include "commands/memory_rows.hpp"
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

// What one rd command shows, and where it reads.
struct Plan {
    uint64_t address = 0, count = 0;
    MemoryRows rows;
    Read read;
};

void show_memory(Session& session, const Plan& plan) {
    const unsigned unit = plan.rows.unit;
    uint64_t address = plan.address, left = plan.count;
    std::byte buffer[16];
    while (left) {
        check_interrupt();
        const uint64_t here = std::min<uint64_t>(left, 16 / unit);
        uint64_t whole = 0; // values of this line that could be read
        try {
            for (; whole < here; ++whole) plan.read(address + whole * unit, std::span(buffer + whole * unit, unit));
        } catch (const Error&) {
            if (whole) print_memory_row(session.report(), plan.rows, address, std::span(buffer, whole * unit));
            throw;
        }
        print_memory_row(session.report(), plan.rows, address, std::span(buffer, here * unit));
        address += here * unit;
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
            line += printable(std::span(&byte, 1));
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
    if (invocation.has("u") || !target.kernel_address(address)) {
        std::shared_ptr<AddressSpace> space = task_space(session, session.current());
        return [space](uint64_t at, std::span<std::byte> into) { space->read(VirtualAddress{at}, into); };
    }
    return [&target](uint64_t at, std::span<std::byte> into) { target.kernel().read(VirtualAddress{at}, into); };
}

// -s, -S, -SS: a word as a symbol, or as the slab cache that its object is of.
std::function<std::string(uint64_t)> names(const Target& target, bool caches, bool addresses) {
    const auto slabs = caches ? std::make_shared<const SlabAllocator>(target) : nullptr;
    return [&target, slabs, addresses](uint64_t value) {
        if (const std::string text = target.symbols().describe(value); !text.empty()) return text;
        const std::string cache = slabs ? slab_cache_name(*slabs, value) : std::string();
        if (cache.empty()) return cache;
        return addresses ? fmt::format("[{:x}:{}]", value, cache) : fmt::format("[{}]", cache);
    };
}

void choose_style(const Invocation& invocation, const Target& target, MemoryRows& rows) {
    rows.unit = target.arch().word_size;
    for (const auto& [letters, bytes] : {std::pair{"8", 1u}, {"16", 2u}, {"32", 4u}, {"64", 8u}})
        if (invocation.has(letters)) rows.unit = bytes;
    if (invocation.has("d")) rows.base = MemoryRows::Base::decimal;
    if (invocation.has("D")) rows.base = MemoryRows::Base::unsigned_decimal;
    const bool addresses = invocation.has("SS"), caches = addresses || invocation.has("S");
    if (caches || invocation.has("s")) {
        rows.base = MemoryRows::Base::hex;
        rows.name_of = names(target, caches, addresses);
        rows.unit = target.arch().word_size;
    }
    rows.ascii = !invocation.has("x");
    rows.order = invocation.has("N") ? ByteOrder::big : target.arch().order;
    if (invocation.has("N") && (rows.unit == 8 || rows.unit == 1)) throw UsageError("-N is for 16-bit and 32-bit values: add -16 or -32");
}

void run(Session& session, const Invocation& invocation) {
    if (invocation.operands.empty()) throw UsageError("no address given: rd address | symbol [count]");
    Plan plan;
    choose_style(invocation, session.target(), plan.rows);
    plan.address = session.address(invocation.operands[0]);
    if (auto offset = invocation.value("o")) plan.address += session.number(*offset);
    const bool counted = invocation.operands.size() > 1;
    plan.count = counted ? session.number(invocation.operands[1]) : 1;
    const auto file = invocation.value("r");
    const bool bytes = invocation.has("a") || file;
    if (auto end = invocation.value("e")) {
        const uint64_t last = session.address(*end);
        if (last <= plan.address) throw UsageError(fmt::format("invalid ending address: {:x}: it is not above {:x}", last, plan.address));
        plan.count = (last - plan.address) / (bytes ? 1 : plan.rows.unit);
    }
    if (plan.count > UINT64_MAX / 8 || static_cast<int64_t>(plan.count) < 0) throw UsageError(fmt::format("invalid count: {}", invocation.operands[1]));
    if (invocation.has("R") && plan.count) plan.address -= (plan.count - 1) * (bytes ? 1 : plan.rows.unit);
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
