// SPDX-License-Identifier: GPL-3.0-or-later
#include "commands/command.hpp"
#include "commands/expression.hpp"
#include "core/error.hpp"
#include <doctest/doctest.h>

using namespace kcrash;

namespace {

constexpr Option options[] = {
    {"l", "", ArgumentKind::none, "lines"},      {"s", "", ArgumentKind::none, "symbols"},
    {"F", "", ArgumentKind::none, "caches"},     {"FF", "", ArgumentKind::none, "all caches"},
    {"R", "ref", ArgumentKind::text, "mention"}, {"S", "cpus", ArgumentKind::cpus, "cpus", true},
    {"8", "", ArgumentKind::none, "bytes"},      {"16", "", ArgumentKind::none, "words"},
};
void nothing(Session&, const Invocation&) {}
const Command bt{.name = "bt", .summary = "", .synopsis = "[-ls] [pid]", .options = options, .help = "", .run = nothing};
const Command raw{
    .name = "p", .summary = "", .synopsis = "", .options = options, .help = "", .run = nothing, .raw_arguments = true};

using Words = std::vector<std::string>;
using Options = std::vector<std::pair<std::string, std::string>>;

std::string failure(std::string_view line) {
    try {
        parse_invocation(bt, line);
    } catch (const UsageError& error) { return error.what(); }
    return "";
}

} // namespace

TEST_CASE("command: options are bundled, take arguments, stand after operands") {
    const Invocation bundled = parse_invocation(bt, "bt -lsRschedule 42 -FFl");
    CHECK(bundled.options == Options{{"l", ""}, {"s", ""}, {"R", "schedule"}, {"FF", ""}, {"l", ""}});
    CHECK(bundled.operands == Words{"42"});
    CHECK(bundled.has("FF"));
    CHECK_FALSE(bundled.has("F"));
    CHECK(parse_invocation(bt, "bt -R a -R b").values("R") == Words{"a", "b"});
    CHECK(parse_invocation(bt, "bt -R a -R b").value("R") == "b");
    CHECK(parse_invocation(bt, "bt -R -5").value("R") == "-5");
}

TEST_CASE("command: an optional argument must be attached") {
    CHECK(parse_invocation(bt, "bt -S=1,3 -S 5").options == Options{{"S", "1,3"}, {"S", ""}});
    CHECK(parse_invocation(bt, "bt -S1-3").value("S") == "1-3");
    CHECK(parse_invocation(bt, "bt -Sl").has("l"));
}

TEST_CASE("command: a negative number is an operand unless an option begins with its digit") {
    CHECK(parse_invocation(bt, "bt -3").operands == Words{"-3"});
    CHECK(parse_invocation(bt, "bt -16").has("16"));
    CHECK(parse_invocation(bt, "bt -- -l").operands == Words{"-l"});
}

TEST_CASE("command: words keep together by quotes and parentheses") {
    CHECK(split_words("a \"b c\" (d + e) 'f g' \\42 (x \")\")") == Words{"a", "b c", "(d + e)", "'f g'", "\\42", "(x \")\")"});
    CHECK_THROWS_WITH_AS(split_words("p (a + b"), "a parenthesis is not closed: (a + b", UsageError);
    CHECK_THROWS_WITH_AS(split_words("p \"a"), "a double quote is not closed: \"a", UsageError);
}

TEST_CASE("command: raw arguments keep what follows the leading options") {
    const Invocation invocation = parse_invocation(raw, "p -s  a->b  -l ");
    CHECK(invocation.options == Options{{"s", ""}});
    CHECK(invocation.raw == "a->b  -l");
    CHECK(parse_invocation(raw, "p -5 + 3").raw == "-5 + 3");
}

TEST_CASE("command: a wrong option is refused with the usage") {
    CHECK(failure("bt -x") == "unknown option -x\nusage: bt [-ls] [pid]");
    CHECK(failure("bt -lq") == "unknown option -q\nusage: bt [-ls] [pid]");
    CHECK(failure("bt --lines") == "unknown option --lines\nusage: bt [-ls] [pid]");
    CHECK(failure("bt -R") == "option -R needs ref\nusage: bt [-ls] [pid]");
}

TEST_CASE("command: a misspelt word finds its neighbour") {
    const std::string_view choices[] = {"ps", "bt", "struct", "foreach"};
    CHECK(did_you_mean("pss", choices) == "ps");
    CHECK(did_you_mean("tb", choices) == "bt");
    CHECK(did_you_mean("strcut", choices) == "struct");
    CHECK(did_you_mean("xyzzy", choices) == "");
}

TEST_CASE("expression: C's operators and precedence, numbers as crash reads them") {
    const auto value = [](std::string_view text) { return evaluate(text, parse_number); };
    CHECK(value("1 + 2 * 3") == 7);
    CHECK(value("(1 | 6) << 4") == 0x70);
    CHECK(value("-1") == ~uint64_t{0});
    CHECK(value("(4k - 0x10)") == 4080);
    CHECK(value("ff") == 255);
    CHECK(value("1 << 64") == 0);
    CHECK(parse_number("4KB") == 4096);
    CHECK(parse_number("12x") == std::nullopt);
    CHECK(parse_number("99999999999999999999g") == std::nullopt);
    CHECK_THROWS_WITH_AS(value("1 / 0"), "invalid expression: 1 / 0: division by zero", UsageError);
    CHECK_THROWS_WITH_AS(value("1 +"), "invalid expression: 1 +: a value is missing at its end", UsageError);
    CHECK_THROWS_WITH_AS(value("foo$"), "invalid expression: foo$: \"foo\" is neither a number nor a symbol", UsageError);
    CHECK_THROWS_AS(value(std::string(100000, '(')), UsageError);
}
