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

TEST_CASE("redirection: commands of one -C are separated by semicolons") {
    using Words = std::vector<std::string>;
    CHECK(split_commands("bt; ps ;; set;") == Words{"bt", "ps", "set"});
    CHECK(split_commands("eval (1; 2); p \"a;b\" | sed 's/;//'") == Words{"eval (1; 2)", "p \"a;b\" | sed 's/;//'"});
}
