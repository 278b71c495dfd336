// SPDX-License-Identifier: GPL-3.0-or-later
#include "commands/session.hpp"
#include "commands/shell/shell.hpp"
#include <doctest/doctest.h>
#include <unistd.h>

using namespace kcrash;

namespace {

// A session without a dump, and all that it said.
struct Talk {
    std::string said;
    Session session{nullptr, make_text_report([this](std::string_view b) { said += b; }, [this](std::string_view b) { said += "! "; said += b; })};

    std::string operator()(std::string_view line) {
        said.clear();
        session.run(line);
        return said;
    }
};

} // namespace

TEST_CASE("session: a failed command is told and counted, and does not end the session") {
    Talk talk;
    CHECK(talk("set radix 12") == "! set: radix is one of 10, 16, dec, hex, decimal, hexadecimal, d, h, not 12\n");
    CHECK(talk("sett") == "! unknown command \"sett\", did you mean \"set\"?\n");
    CHECK(talk("less") == "! unknown command \"less\"; \"!less\" runs it in the shell\n");
    CHECK(talk("ps") == "! ps: there is no dump: start kcrash with a dump file\n");
    CHECK(talk.session.failed_commands == 4);
    CHECK(talk("set radix 16") == "output radix: 16 (hex)\n");
    CHECK(talk.session.failed_commands == 4);
}

TEST_CASE("session: comments and empty lines are nothing") {
    Talk talk;
    for (const char* line : {"", "  ", "# set", "// set"}) CHECK(talk(line) == "");
}

TEST_CASE("session: an alias stands for the first word, once, and not behind a backslash") {
    Talk talk;
    talk.session.user_aliases["set"] = "set debug 5";
    CHECK(talk("set") == "debug: 5\n");
    CHECK(talk("\\set print_max") == "print_max: 256\n");
    CHECK(talk("hex") == "output radix: 16 (hex)\n");
    CHECK(talk("alias hex \"\"") == "alias deleted: hex\n");
    CHECK(talk("hex") == "! unknown command \"hex\"; \"help\" lists the commands\n");
}

TEST_CASE("session: two of them in one process know nothing of each other") {
    Talk one, two;
    one("set radix 16");
    one("alias x set");
    CHECK(two("set radix") == "output radix: 10 (decimal)\n");
    CHECK(two("alias x") == "! alias: there is no alias named x\n");
    CHECK(one("x radix") == "output radix: 16 (hex)\n");
}

TEST_CASE("session: minimal mode has few commands, and says so") {
    Talk talk;
    talk.session.minimal = true;
    CHECK(talk("foreach bt") == "! foreach: not available with --minimal\n");
    CHECK(talk("set debug") == "debug: 0\n");
}

TEST_CASE("session: numbers are decimal, hex, with a suffix or an expression") {
    Talk talk;
    CHECK(talk.session.number("12") == 12);
    CHECK(talk.session.number("0x12") == 0x12);
    CHECK(talk.session.number("1k") == 1024);
    CHECK(talk.session.number("-2") == ~uint64_t{1});
    CHECK(talk.session.number("(1 << 4)") == 16);
    CHECK(talk.session.address("ffff888000000000") == 0xffff888000000000);
    CHECK(talk.session.address("(ff + 1)") == 0x100);
    CHECK_THROWS_WITH_AS(talk.session.number("many"), "invalid number: many", UsageError);
    CHECK_THROWS_WITH_AS(talk.session.address("nosuch"), "invalid address: nosuch", UsageError);
}

TEST_CASE("shell: pipes, files and the error setting") {
    Talk talk;
    Shell shell(talk.session);
    char path[] = "/tmp/kcrash-test-XXXXXX";
    const int file = mkstemp(path);
    REQUIRE(file >= 0);
    CHECK(shell.execute(std::string("set print_max > ") + path));
    CHECK(shell.execute(std::string("set print_max | tr 2 9 >> ") + path));
    CHECK(shell.execute("set error redirect > /dev/null"));
    CHECK_FALSE(shell.execute(std::string("set foo bar | cat >> ") + path));
    char text[500];
    const ssize_t n = ::read(file, text, sizeof text);
    CHECK(std::string_view(text, n > 0 ? static_cast<size_t>(n) : 0) ==
          "print_max: 256\nprint_max: 956\nset: one task at a time\n"
          "usage: set [[-a] [pid | task] | [-c cpu] | -p] | [variable [value]]... | -v\n");
    ::close(file);
    ::unlink(path);
}
