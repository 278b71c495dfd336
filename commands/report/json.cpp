// SPDX-License-Identifier: GPL-3.0-or-later
// The JSON report: one document for each command, on one line, written as the command speaks.
//
//     {"command":"ps 1","items":[{"kind":"task","pid":1,"task":"0xffff..."}],"errors":[],"unreadable":0,"ok":true}
//
// The schema is kcrash.schema.json beside this file. Integers beyond 2^53 are strings, since many readers lose their low bits.
#include "commands/report/render.hpp"
#include <cmath>
#include <fmt/format.h>

namespace kcrash {
namespace {

constexpr uint64_t exact_limit = uint64_t{1} << 53; // doubles count every integer below it

// Controls as \u00xx, so that nothing is lost; bytes that are no UTF-8 as "\xff", as escape() shows them.
std::string quote(std::string_view bytes) {
    std::string out = "\"", run;
    const auto end_run = [&] {
        for (const char c : escape(run)) {
            if (c == '\\') out += '\\';
            out += c;
        }
        run.clear();
    };
    for (const char c : bytes) {
        const auto byte = static_cast<uint8_t>(c);
        if (byte >= 0x20 && byte != 0x7f && c != '"' && c != '\\') {
            run += c;
            continue;
        }
        end_run();
        if (c == '"' || c == '\\') out += '\\', out += c;
        else if (c == '\n') out += "\\n";
        else fmt::format_to(std::back_inserter(out), "\\u{:04x}", byte);
    }
    end_run();
    return out + "\"";
}

std::string number(uint64_t value) { return value < exact_limit ? fmt::format("{}", value) : fmt::format("\"{}\"", value); }

std::string json(const CellValue& value) {
    struct Visitor {
        std::string operator()(Nothing) const { return "null"; }
        std::string operator()(const Missing& v) const { return "{\"missing\":" + quote(v.reason) + "}"; }
        std::string operator()(bool v) const { return v ? "true" : "false"; }
        std::string operator()(int64_t v) const {
            if (v >= 0) return number(static_cast<uint64_t>(v));
            return v > -static_cast<int64_t>(exact_limit) ? fmt::format("{}", v) : fmt::format("\"{}\"", v);
        }
        std::string operator()(uint64_t v) const { return number(v); }
        std::string operator()(double v) const { return std::isfinite(v) ? fmt::format("{}", v) : "null"; }
        std::string operator()(const std::string& v) const { return quote(v); }
        std::string operator()(AddressValue v) const { return fmt::format("\"{:#x}\"", v.value); }
        std::string operator()(HexValue v) const { return fmt::format("\"{:#x}\"", v.value); }
        std::string operator()(BytesValue v) const { return number(v.value); }
        std::string operator()(NanosecondsValue v) const { return number(v.value); }
        std::string operator()(const SymbolValue& v) const {
            return fmt::format("{{\"address\":\"{:#x}\",\"text\":{}}}", v.address, quote(v.text));
        }
    };
    return std::visit(Visitor{}, value);
}

void tree_members(std::string& out, const ValueTree& tree, bool& first);

void tree_json(std::string& out, const ValueTree& tree) {
    if (std::holds_alternative<Missing>(tree.value)) out += json(tree.value);
    else if (tree.is_array) {
        out += '[';
        for (size_t i = 0; i < tree.children.size(); ++i) {
            const ValueTree& child = tree.children[i];
            if (i > 0) out += ',';
            if (child.repeats > 1) fmt::format_to(std::back_inserter(out), "{{\"repeats\":{},\"value\":", child.repeats);
            tree_json(out, child);
            if (child.repeats > 1) out += '}';
        }
        out += ']';
    } else if (!tree.children.empty()) {
        bool first = true;
        out += '{';
        tree_members(out, tree, first);
        out += '}';
    } else out += std::holds_alternative<Nothing>(tree.value) ? quote(tree.text) : json(tree.value);
}

// Members of anonymous structs and unions stand beside those of the struct they are in, as in C.
void tree_members(std::string& out, const ValueTree& tree, bool& first) {
    for (const ValueTree& child : tree.children) {
        if (child.name.empty() && !child.children.empty() && !child.is_array) {
            tree_members(out, child, first);
            continue;
        }
        if (!first) out += ',';
        first = false;
        out += quote(child.name) + ":";
        tree_json(out, child);
    }
}

class JsonReport : public Report {
public:
    explicit JsonReport(Sink out) : out_(std::move(out)) {}

    void record(std::string_view kind, std::string_view, const Fields& fields) override {
        open(kind, fields);
        buffer_ += '}';
        flush_if_full();
    }
    void begin(std::string_view kind, std::string_view, const Fields& fields) override {
        open(kind, fields);
        buffer_ += ",\"items\":[";
        first_.push_back(true);
    }
    void end() override {
        if (first_.size() < 2) return;
        buffer_ += "]}";
        first_.pop_back();
        flush_if_full();
    }
    void table(std::string_view kind, std::span<const Column> columns) override {
        table_kind_ = kind;
        keys_.clear();
        for (const Column& column : columns) keys_.emplace_back(column.key);
    }
    void row(std::vector<CellValue> cells, std::string_view) override {
        Fields fields;
        for (size_t i = 0; i < cells.size() && i < keys_.size(); ++i)
            if (!keys_[i].empty()) fields.push_back({keys_[i], std::move(cells[i])});
        record(table_kind_, {}, fields);
    }
    void value(const ValueTree& tree, std::string_view, std::string_view, unsigned) override {
        unreadable_ += count_missing(tree);
        item();
        buffer_ += "{\"kind\":\"value\",\"name\":" + quote(tree.name) + ",\"type\":" + quote(tree.type) + ",\"value\":";
        tree_json(buffer_, tree);
        buffer_ += '}';
        flush_if_full();
    }
    void text(std::string_view text, bool only_text) override {
        if (!only_text) record("text", {}, {{"text", std::string(text)}});
    }
    void note(Severity severity, std::string_view message) override {
        if (severity == Severity::error) errors_.emplace_back(message);
        else record(severity == Severity::warning ? "warning" : "note", {}, {{"message", std::string(message)}});
    }

    void begin_command(std::string_view line, std::string_view) override {
        buffer_ = "{\"command\":" + quote(line) + ",\"items\":[";
        first_ = {true};
        errors_.clear();
        unreadable_ = 0;
    }
    void end_command(bool ok) override {
        while (first_.size() > 1) end();
        buffer_ += "],\"errors\":[";
        for (size_t i = 0; i < errors_.size(); ++i) buffer_ += (i > 0 ? "," : "") + quote(errors_[i]);
        buffer_ += fmt::format("],\"unreadable\":{},\"ok\":{}}}\n", unreadable_, ok && errors_.empty());
        flush();
    }
    uint64_t unreadable() const override { return unreadable_; }
    uint64_t errors() const override { return errors_.size(); }

private:
    void item() {
        if (!first_.back()) buffer_ += ',';
        first_.back() = false;
    }
    void open(std::string_view kind, const Fields& fields) {
        unreadable_ += count_missing(fields);
        item();
        buffer_ += "{\"kind\":" + quote(kind);
        for (const Field& field : fields) buffer_ += "," + quote(field.key) + ":" + json(field.value);
    }
    void flush_if_full() {
        if (buffer_.size() >= 16384) flush();
    }
    void flush() {
        std::string bytes;
        bytes.swap(buffer_);
        out_(bytes);
    }

    Sink out_;
    std::string buffer_, table_kind_;
    std::vector<std::string> keys_;
    std::vector<bool> first_ = {true}; // for each open list: nothing in it yet
    std::vector<std::string> errors_;
    uint64_t unreadable_ = 0;
};

} // namespace

std::unique_ptr<Report> make_json_report(Sink out) { return std::make_unique<JsonReport>(std::move(out)); }

} // namespace kcrash
