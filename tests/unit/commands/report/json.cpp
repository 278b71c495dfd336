// SPDX-License-Identifier: GPL-3.0-or-later
#include "commands/report/report.hpp"
#include <doctest/doctest.h>
#include <nlohmann/json.hpp>

using namespace kcrash;
using nlohmann::json;

namespace {

struct Document {
    std::string out;
    std::unique_ptr<Report> report = make_json_report([this](std::string_view b) { out += b; });
    Document() { report->begin_command("ps 1", "ps"); }
    json end(bool ok = true) {
        report->end_command(ok);
        CHECK(out.back() == '\n');
        return json::parse(out);
    }
};

} // namespace

TEST_CASE("json: a command is one document with its items, errors and verdict") {
    Document document;
    document.report->record(
        "task", "{pid}",
        {{"pid", int64_t{1}}, {"task", AddressValue{0xffff888004a31000}}, {"mm", Missing{"excluded"}}, {"ppid", Nothing{}}});
    CHECK(
        document.end() ==
        json::parse(
            R"({"command":"ps 1","items":[{"kind":"task","pid":1,"task":"0xffff888004a31000","mm":{"missing":"excluded"},"ppid":null}],
        "errors":[],"unreadable":1,"ok":true})"));
}

TEST_CASE("json: integers that a double would round are strings") {
    Document document;
    document.report->record("n", "",
                            {{"a", uint64_t{1} << 53},
                             {"b", int64_t{-5}},
                             {"c", HexValue{255}},
                             {"d", HexValue{~uint64_t{0}}},
                             {"e", 0.5},
                             {"f", true}});
    CHECK(document.end()["items"][0] ==
          json::parse(R"({"kind":"n","a":"9007199254740992","b":-5,"c":"0xff","d":"0xffffffffffffffff","e":0.5,"f":true})"));
}

TEST_CASE("json: rows are records, groups nest, an error closes what is open") {
    Document document;
    const Column columns[] = {{"sp", "SP"}, {"function", "FUNCTION"}};
    document.report->begin("task", "", {{"pid", int64_t{1}}});
    document.report->table("frame", columns);
    document.report->row({AddressValue{16}, SymbolValue{32, "schedule+4"}});
    document.report->note(Severity::error, "bt: no unwind data");
    CHECK(document.report->errors() == 1);
    CHECK(document.end() == json::parse(R"({"command":"ps 1","items":[{"kind":"task","pid":1,"items":[
        {"kind":"frame","sp":"0x10","function":{"address":"0x20","text":"schedule+4"}}]}],"errors":["bt: no unwind data"],"unreadable":0,"ok":false})"));
}

TEST_CASE("json: strings keep controls, and show bytes that are no text") {
    Document document;
    document.report->text("a\"b\\c\x1b\n\xff\t", false);
    document.report->text("only for people", true);
    CHECK(document.end()["items"] == json::parse(R"([{"kind":"text","text":"a\"b\\c\u001b\n\\xff\t"}])"));
}

TEST_CASE("json: a struct nests, members of anonymous unions stand beside the others") {
    ValueTree leaf{.name = "pid", .value = int64_t{7}, .text = "7", .children = {}};
    ValueTree zeroes{.value = int64_t{0}, .text = "0", .children = {}, .repeats = 15};
    ValueTree bits{.name = "bits", .value = {}, .text = "", .children = {leaf, zeroes}, .is_array = true};
    ValueTree anonymous{.name = "", .value = {}, .text = "", .children = {leaf}, .is_union = true};
    Document document;
    document.report->value({.name = "init_task", .type = "struct t", .value = {}, .text = "", .children = {anonymous, bits}});
    CHECK(document.end()["items"][0] ==
          json::parse(
              R"({"kind":"value","name":"init_task","type":"struct t","value":{"pid":7,"bits":[7,{"repeats":15,"value":0}]}})"));
}
