// SPDX-License-Identifier: GPL-3.0-or-later
#include "commands/shell/gdb_script.hpp"
#include <doctest/doctest.h>

using namespace kcrash;

namespace {

// How many of these lines belong to the first.
size_t taken(std::initializer_list<std::string_view> lines) {
    auto line = lines.begin();
    auto script = GdbScript::begin(*line);
    if (!script) return 0;
    while (!script->complete() && ++line != lines.end()) script->add(*line);
    return script->complete() ? static_cast<size_t>(line - lines.begin()) + 1 : SIZE_MAX;
}

} // namespace

TEST_CASE("gdb script: what is a command by itself") {
    for (const std::string_view line : {"ps", "", "python print(1)", "python import os", "define", "document", "p if", "gdb", "gdb print 1", "ifconfig", "definer x", "commands"})
        CHECK_FALSE(GdbScript::begin(line));
}

TEST_CASE("gdb script: a body ends at its own end") {
    CHECK(taken({"define both", "p $arg0", "p $arg1", "end", "ps"}) == 4);
    CHECK(taken({"define loop", "while $i < 3", "  if $i == 1", "p $i", "end", "set $i = $i + 1", "end", "end", "bt"}) == 8);
    CHECK(taken({"if(1)", "p 1", "else", "p 2", "end", "p 3"}) == 5);
    CHECK(taken({"while 1", "end"}) == 2);
    CHECK(taken({"define stop", "commands", "bt", "end", "end", "ps"}) == 5);
    CHECK(taken({"\\define foo", "p 1", "end"}) == 3); // as typed: without aliases
}

TEST_CASE("gdb script: words of another language do not nest") {
    CHECK(taken({"python", "if True:", "    print(1)", "end", "end"}) == 4);
    CHECK(taken({"document both", "if you want both", "while you can", "end", "end"}) == 4);
    CHECK(taken({"define two", "python", "while False: pass", "end", "end", "end"}) == 5);
}

TEST_CASE("gdb script: the text that GDB gets") {
    auto script = GdbScript::begin("  gdb python \n");
    REQUIRE(script);
    CHECK(script->word() == "python");
    script->add("if 1:");
    script->add("    print('a | b > c')");
    script->add("  end \r"); // of a file with CRLF
    CHECK(script->complete());
    CHECK(script->text() == "python\nif 1:\n    print('a | b > c')\n  end ");
}

TEST_CASE("gdb script: an end that never comes") {
    CHECK(taken({"define both", "p $arg0"}) == SIZE_MAX);
    CHECK(taken({"while 1", "while 2", "end"}) == SIZE_MAX);
}
