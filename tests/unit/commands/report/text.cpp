// SPDX-License-Identifier: GPL-3.0-or-later
#include "commands/report/report.hpp"
#include <doctest/doctest.h>

using namespace kcrash;

namespace {

struct Text {
    std::string out, errors;
    std::unique_ptr<Report> report =
        make_text_report([this](std::string_view b) { out += b; }, [this](std::string_view b) { errors += b; });
    Text() { report->begin_command("ps 1", "ps"); }
    std::string end() {
        report->end_command(true);
        return out;
    }
};

} // namespace

TEST_CASE("text: a layout shows fields by key, with the formats of strings and of numbers") {
    Text text;
    text.report->record("task", "PID: {pid:<6} TASK: {task}  {mem:>5.1f} {flags:08x} {{{comm}}}",
                        {{"pid", int64_t{1}},
                         {"task", AddressValue{0xffff888004a31000}},
                         {"mem", 0.25},
                         {"flags", HexValue{0x40}},
                         {"comm", std::string("init")}});
    CHECK(text.end() == "PID: 1      TASK: ffff888004a31000    0.2 00000040 {init}\n");
}

TEST_CASE("text: an empty layout prints nothing") {
    Text text;
    text.report->record("task", "", {{"pid", int64_t{1}}});
    CHECK(text.end() == "");
}

TEST_CASE("text: what is missing says so in its cell and is counted in the last line") {
    Text text;
    text.report->record("task", "{a} {b} {c:04x}",
                        {{"a", Missing{"excluded"}}, {"b", Missing{"not in the dump at all"}}, {"c", Missing{"cut"}}});
    CHECK(text.end() == "(excluded) ? (cut)\nps: 3 values could not be read\n");
}

TEST_CASE("text: a table has a header, columns by width and no blanks at the ends") {
    Text text;
    const Column columns[] = {{"pid", "PID", 7, Align::right}, {"task", "TASK", 16, Align::center, "  "}, {"comm", "COMM"}};
    text.report->table("task", columns);
    text.report->row({int64_t{1}, AddressValue{0xffff888004a31000}, std::string("init")});
    text.report->row({int64_t{2}, Nothing{}, std::string("")}, " <-");
    CHECK(text.end() == "    PID        TASK       COMM\n      1  ffff888004a31000 init\n      2                    <-\n");
}

TEST_CASE("text: a hostile string cannot drive the terminal") {
    CHECK(escape("\x1b[2Jx\r\n") == "\\x1b[2Jx\\x0d\\x0a");
    CHECK(escape("a\nb\t", true) == "a\nb\t");
    CHECK(escape("\xff\xc0\x80") == "\\xff\\xc0\\x80");
    CHECK(escape("\xe2\x80\xae") == "\\u202e");
    CHECK(escape("\xc2\x9b") == "\\x9b");
    CHECK(escape("gr\xc3\xbc\xc3\x9f") == "gr\xc3\xbc\xc3\x9f");
    Text text;
    text.report->record("line", "{text}", {{"text", std::string("\x1b]0;pwned\x07")}});
    CHECK(text.end() == "\\x1b]0;pwned\\x07\n");
}

TEST_CASE("text: errors and warnings go to the errors with the command's name, once") {
    Text text;
    text.report->note(Severity::error, "invalid task or pid value: 99999");
    text.report->note(Severity::warning, "ps: a list is a cycle");
    text.report->note(Severity::note, "nothing found");
    CHECK(text.report->errors() == 1);
    CHECK(text.end() == "ps: nothing found\n");
    CHECK(text.errors == "ps: invalid task or pid value: 99999\nwarning: ps: a list is a cycle\n");
}

TEST_CASE("text: a struct prints as C") {
    ValueTree lock{.name = "lock",
                   .value = {},
                   .text = "",
                   .children = {{.name = "owner", .value = uint64_t{0}, .text = "0", .children = {}}}};
    ValueTree other = lock;
    other.name = "";
    ValueTree bits{.name = "bits",
                   .value = {},
                   .text = "",
                   .children = {{.value = uint64_t{1}, .text = "1", .children = {}},
                                {.value = uint64_t{0}, .text = "0", .children = {}, .repeats = 15},
                                {.text = "..."}},
                   .is_array = true};
    ValueTree locks{.name = "locks", .value = {}, .text = "", .children = {other, other}, .is_array = true};
    ValueTree gone{.name = "gone", .value = Missing{"excluded from the dump"}, .text = "", .children = {}};
    Text text;
    text.report->value({.name = "", .type = "struct foo", .value = {}, .text = "", .children = {lock, bits, locks, gone}},
                       "struct foo ");
    CHECK(text.end() == R"(struct foo {
  lock = {
    owner = 0
  },
  bits = {1, 0 <repeats 15 times>...},
  locks = {{
      owner = 0
    }, {
      owner = 0
    }},
  gone = <excluded from the dump>
}
ps: 1 value could not be read
)");
}
