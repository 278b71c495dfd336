// SPDX-License-Identifier: GPL-3.0-or-later
// The process: command line in, exit status out.
#include "commands/gdb_bridge.hpp"
#include "commands/help.hpp"
#include "commands/shell/arguments.hpp"
#include "commands/shell/identify.hpp"
#include "commands/shell/start.hpp"
#include "core/error.hpp"
#include <cstdio>
#include <fmt/format.h>

namespace {

int print(const std::string& text) {
    fmt::print("{}\n", text);
    return 0;
}

int help(const kcrash::Arguments& arguments) {
    if (arguments.help_topic.empty()) return print(kcrash::process_usage());
    const std::string page = kcrash::help_topic(arguments.help_topic);
    if (page.empty()) throw kcrash::UsageError(fmt::format("no command or topic is named {}", arguments.help_topic));
    return print(page);
}

int run(kcrash::Arguments arguments) {
    using kcrash::Mode;
    switch (arguments.mode) {
    case Mode::help: return help(arguments);
    case Mode::version: return print("kcrash " KCRASH_VERSION);
    case Mode::build_info: return print("kcrash " KCRASH_VERSION ", " __VERSION__);
    case Mode::manual: fmt::print("{}", kcrash::manual_page()); return 0;
    case Mode::os_release: return kcrash::print_vmcoreinfo(arguments, "OSRELEASE");
    case Mode::build_id: return kcrash::print_vmcoreinfo(arguments, "BUILD-ID");
    case Mode::check_namelist: return kcrash::check_namelist(arguments);
    case Mode::identify: return kcrash::identify_files(arguments);
    case Mode::gdb_index: return kcrash::make_gdb_index(arguments.files.front());
    case Mode::log:
    case Mode::timestamp:
    case Mode::session: break;
    }
    return kcrash::run_session(std::move(arguments));
}

} // namespace

int main(int argc, char** argv) {
    try {
        return run(kcrash::parse_arguments({argv + 1, static_cast<size_t>(argc > 0 ? argc - 1 : 0)}));
    } catch (const std::exception& error) {
        fmt::print(stderr, "kcrash: {}\n", kcrash::escape(error.what(), true));
        return 1;
    }
}
