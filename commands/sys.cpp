// SPDX-License-Identifier: GPL-3.0-or-later
// sys: the machine, its death, its system calls, its firmware's strings, its configuration.
#include "commands/banner.hpp"
#include "commands/session.hpp"
#include "core/error.hpp"
#include "kernel/taint.hpp"
#include "kernel/uts.hpp"
#include <algorithm>
#include <cctype>
#include <fmt/format.h>

namespace kcrash {
namespace {

struct Call {
    uint64_t number = 0;
    std::optional<uint64_t> address; // absent: unreadable
    std::string name;
};

// Of the names of one address the kernel itself prints __do_sys_pause, not __x64_sys_pause, when it has both.
std::string name_of(const Target& target, uint64_t address) {
    const SymbolTable& symbols = target.symbols().kernel();
    for (size_t i = symbols.first_above(address); i-- > 0 && symbols.at(i).address == address;)
        if (symbols.at(i).name.starts_with("__do_sys_")) return std::string(symbols.at(i).name);
    const auto match = target.symbols().containing(address);
    return match ? std::string(match->symbol.name) : std::string();
}

// The table ends where the next symbol begins. A name starts with its architecture's prefix: __x64_sys_read.
std::vector<Call> read_calls(const Target& target) {
    const auto table = target.symbols().find("sys_call_table");
    if (!table) throw LookupError("sys_call_table does not exist in this kernel");
    const unsigned word = target.arch().word_size;
    uint64_t size = table->symbol.size;
    if (size == 0) {
        const SymbolTable& symbols = target.symbols().kernel();
        const size_t next = symbols.first_above(table->symbol.address);
        if (next < symbols.size()) size = symbols.at(next).address - table->symbol.address;
    }
    std::vector<Call> calls;
    for (uint64_t i = 0; i < std::min<uint64_t>(size / word, 4096); ++i) {
        std::byte bytes[8];
        const std::span<std::byte> into(bytes, word);
        Call call{.number = i, .address = std::nullopt, .name = {}};
        if (target.kernel().try_read(VirtualAddress(table->symbol.address + i * word), into) == Fault::none) {
            call.address = load_unsigned(into, target.kernel().order());
            if (!target.symbols().is_text(*call.address)) break; // what follows the table
            call.name = name_of(target, *call.address);
            if (call.name.empty()) call.name = fmt::format("{:x}", *call.address);
        }
        calls.push_back(std::move(call));
    }
    return calls;
}

// Files are shown below "..", the folder that the kernel was built in: where start_kernel's init/main.c is.
class Files {
public:
    explicit Files(const Target& target) : target_(target) {
        const auto start = target.symbol_address("start_kernel");
        const auto where = start ? line(*start) : std::nullopt;
        const std::string_view known = "/init/main.c";
        if (where && where->file.ends_with(known)) top_ = where->file.substr(0, where->file.size() - known.size());
    }
    std::optional<SourceLine> line(uint64_t address) const {
        DebugInfo* info = target_.debug_info(address);
        return info ? info->line(address) : std::nullopt;
    }
    std::string shortened(const std::string& file) const {
        return !top_.empty() && file.starts_with(top_ + "/") ? ".." + file.substr(top_.size()) : file;
    }

private:
    const Target& target_;
    std::string top_;
};

void say_calls(Session& session, const std::string& wanted) {
    const Target& target = session.target();
    Report& report = session.report();
    const std::vector<Call> calls = read_calls(target);
    const bool is_number = !wanted.empty() && std::isdigit(static_cast<unsigned char>(wanted[0]));
    const uint64_t number = is_number ? session.number(wanted) : 0;
    if (is_number && number >= calls.size())
        throw UsageError(fmt::format("invalid system call number: {}; the last one is {}", wanted, calls.empty() ? 0 : calls.back().number));
    const std::string format = session.settings.radix == 16 ? "{number:>3x}" : "{number:>3d}";
    const Files files(target);
    bool found = false;
    for (const Call& call : calls) {
        if (is_number ? call.number != number : call.name.find(wanted) == std::string::npos) continue;
        if (!found) report.text("NUM  SYSTEM CALL                FILE AND LINE NUMBER", true);
        found = true;
        const auto where = call.address ? files.line(*call.address) : std::nullopt;
        const CellValue name = call.address ? CellValue{SymbolValue{*call.address, call.name}} : CellValue{Missing{"unreadable"}};
        report.record("system-call", where ? format + "  {name:<26} {file}: {line}" : format + "  {name}",
                      {{"number", call.number},
                       {"name", name},
                       {"file", where ? CellValue{files.shortened(where->file)} : CellValue{Nothing{}}},
                       {"line", where ? CellValue{uint64_t{where->line}} : CellValue{Nothing{}}}});
    }
    if (!found) throw UsageError(fmt::format("no system call's name contains \"{}\"", wanted));
}

void say_taint(Session& session) {
    const auto taint = read_taint(session.target());
    if (!taint) throw LookupError("the taint mask cannot be read (tainted_mask)");
    session.report().record("taint", "TAINTED_MASK: {mask:x}  {letters}", {{"mask", HexValue{taint->mask}}, {"letters", taint->letters}});
}

void say_firmware(Session& session) {
    for (const FirmwareString& string : read_dmi(session.target()))
        session.report().record("firmware", "{field:>25}: {value}", {{"field", std::string(string.field)}, {"value", cell_or_missing(string.value)}});
}

void say_config(Session& session) {
    const std::string text = read_kernel_config(session.target());
    for (size_t at = 0; at < text.size();) {
        const size_t end = std::min(text.find('\n', at), text.size());
        session.report().record("configuration", "{line}", {{"line", text.substr(at, end - at)}});
        if (end == at) session.report().text("", true);
        at = end + 1;
    }
}

void run(Session& session, const Invocation& invocation) {
    if (invocation.has("panic")) throw UsageError("-panic is for live systems: a dump cannot panic again");
    const std::string operand = invocation.operands.empty() ? "" : invocation.operands.front();
    if (invocation.has("c")) return say_calls(session, operand);
    if (invocation.has("t")) return say_taint(session);
    if (invocation.has("i")) return say_firmware(session);
    if (operand == "config") return say_config(session);
    if (!operand.empty()) throw UsageError(fmt::format("unknown argument \"{}\"; say \"sys config\", or use an option: see \"help sys\"", operand));
    print_system(session);
}

const Option options[] = {
    {"c", {}, ArgumentKind::none, "the system call table; with a name or a number only what matches"},
    {"t", {}, ArgumentKind::none, "the taint mask and its letters"},
    {"i", {}, ArgumentKind::none, "the strings that the firmware told (DMI)"},
    {"panic", {}, ArgumentKind::none, "only for live systems"},
};

} // namespace

extern const Command sys_command;
const Command sys_command{
    .name = "sys",
    .summary = "the machine and its death",
    .synopsis = "[-c [name | number]] [-t] [-i] [config]",
    .options = options,
    .operands = ArgumentKind::text,
    .needs = needs_target,
    .help = "Without an argument: what is shown at the start of a session. FORMAT tells what kind of file the dump is and what\n"
            "makedumpfile left out (dump level). OFFLINE counts the cpus that were down, after a panic those that were stopped.\n"
            "\"sys config\" prints the kernel's configuration where the kernel carries it (CONFIG_IKCONFIG).\n\n"
            "Examples:\n"
            "  sys            the banner\n"
            "  sys -c fork    the system calls with \"fork\" in their names\n"
            "  sys -c 0x39    system call 57\n"
            "  sys -t         TAINTED_MASK: 200  W\n",
    .run = run,
};

} // namespace kcrash
