// SPDX-License-Identifier: GPL-3.0-or-later
#include "commands/shell/redirection.hpp"
#include "core/error.hpp"
#include <doctest/doctest.h>

using namespace kcrash;

namespace {

std::string split(std::string_view line) {
    constexpr const char* names[] = {"none", "pipe", "write", "append", "arguments", "input", "outside"};
    const CommandLine parts = split_redirection(line);
    return std::string(names[static_cast<int>(parts.redirection)]) + "[" + parts.command + "][" + parts.target + "]";
}

} // namespace

TEST_CASE("redirection: a line is cut at its first operator") {
    CHECK(split("ps") == "none[ps][]");
    CHECK(split(" ps | grep x | wc -l ") == "pipe[ps][grep x | wc -l]");
    CHECK(split("ps|wc>out") == "pipe[ps][wc>out]");
    CHECK(split("ps ! wc") == "pipe[ps][wc]");
    CHECK(split("ps > out") == "write[ps][out]");
    CHECK(split("ps >> \"a file\"") == "append[ps][a file]");
    CHECK(split("rd < list") == "arguments[rd][list]");
    CHECK(split("< list") == "input[][list]");
    CHECK(split("!ls | wc") == "outside[][ls | wc]");
    CHECK(split("!") == "outside[][]");
}

TEST_CASE("redirection: quotes and parentheses hide operators, C's arrows and shifts are none") {
    CHECK(split("eval (1 | 2)") == "none[eval (1 | 2)][]");
    CHECK(split("p (x > y) | cat") == "pipe[p (x > y)][cat]");
    CHECK(split("foreach 'a|b' bt") == "none[foreach 'a|b' bt][]");
    CHECK(split("alias x \"ps | wc\"") == "none[alias x \"ps | wc\"][]");
    CHECK(split("p init_task->pid") == "none[p init_task->pid][]");
    CHECK(split("eval 1 << 3") == "none[eval 1 << 3][]");
    CHECK(split("p a != b") == "none[p a != b][]");
}

TEST_CASE("redirection: an operator needs its file") {
    CHECK_THROWS_WITH_AS(split("ps >"), "\">\" needs a file", UsageError);
    CHECK_THROWS_WITH_AS(split("ps >>"), "\">>\" needs a file", UsageError);
    CHECK_THROWS_WITH_AS(split("ps |"), "\"|\" needs a shell command", UsageError);
}

namespace {

std::vector<std::string> commands(const std::string& text) {
    CommandText from(text);
    std::vector<std::string> all;
    for (std::string command; from.command(command);) all.push_back(command);
    return all;
}

} // namespace

TEST_CASE("redirection: commands of one -C are separated by semicolons and new lines") {
    using Words = std::vector<std::string>;
    CHECK(commands("bt; ps ;; set;") == Words{"bt", "ps", "set"});
    CHECK(commands("bt\n  ps\n\nset") == Words{"bt", "ps", "set"});
    CHECK(commands("eval (1; 2); p \"a;b\" | sed 's/;//'") == Words{"eval (1; 2)", "p \"a;b\" | sed 's/;//'"});
    CHECK(commands("").empty());
}

TEST_CASE("redirection: lines of a script are taken as they are, but where semicolons separated it") {
    std::string part;
    CommandText lines("python\n    x = i; print(\"it's\")\nend\np 1; p 2");
    REQUIRE(lines.command(part));
    CHECK(part == "python");
    REQUIRE(lines.line(part));
    CHECK(part == "    x = i; print(\"it's\")");
    REQUIRE(lines.line(part));
    CHECK(part == "end");
    REQUIRE(lines.command(part));
    CHECK(part == "p 1");
    REQUIRE(lines.command(part));
    CHECK(part == "p 2");
    CHECK_FALSE(lines.line(part));
    CommandText one("define foo; print 1; end; foo");
    REQUIRE(one.command(part));
    REQUIRE(one.line(part));
    CHECK(part == " print 1");
    REQUIRE(one.line(part));
    CHECK(part == " end");
    REQUIRE(one.command(part));
    CHECK(part == "foo");
}
