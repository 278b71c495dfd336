// SPDX-License-Identifier: GPL-3.0-or-later
// What a command says: a stream of records, tables, groups, value trees and notes, all typed. Text and JSON render it.
//
// To add a renderer: derive from Report in commands/report/<name>.cpp with a make_ function below.
#pragma once
#include "commands/report/cell.hpp"
#include "core/error.hpp"
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace kcrash {

enum class Align : uint8_t { left, right, center };

struct Column {
    std::string_view key;    // JSON member name
    std::string_view header; // text; empty: no header
    int width = 0;           // least characters; 0: as needed
    Align align = Align::left;
    std::string_view before = " "; // text between the previous column and this one
};

// A value of the dumped kernel as a tree: scalars are leaves. JSON nests it, text prints it as C.
struct ValueTree {
    std::string name = {};                // member name; empty: array element or top
    std::string type = {};                // "struct list_head"
    CellValue value = {};                 // leaves
    std::string text = {};                // leaves: how C prints it: "0xffff888004a31000", "\"init\\000\"", "PG_slab"
    std::vector<ValueTree> children = {}; // struct members or array elements
    bool is_array = false;
    bool is_tall = false; // an array: text has a line for each element
    bool is_union = false;
    uint64_t repeats = 1; // array element that stands this many times
};

enum class Severity : uint8_t { note, warning, error };

// Layouts: text with {key} or {key:FORMAT}, FORMAT as fmt's for strings: "{pid:>7} {comm}". A FORMAT that ends with a
// letter of fmt's numbers (x X o d f) formats the number itself: "{mem:4.1f}", "{flags:08x}". A layout shows some of the
// fields; JSON carries all of them. A layout ends with no newline: the renderer ends lines. "{{" is a brace. An empty
// layout prints nothing, not even a line.
class Report {
public:
    virtual ~Report() = default;
    // One thing said: text by the layout, JSON an object {"kind": kind, fields...}.
    virtual void record(std::string_view kind, std::string_view layout, const Fields& fields) = 0;
    // A group: a record that has others inside ("items" in JSON). Ends with end().
    virtual void begin(std::string_view kind, std::string_view layout, const Fields& fields) = 0;
    virtual void end() = 0;
    // A table: the header line, then rows, each a record of that kind. Ends with the next call that is not row().
    // `before` of the first column is not printed unless it is something else than the default. Trailing blanks are cut.
    virtual void table(std::string_view kind, std::span<const Column> columns) = 0;
    virtual void row(std::vector<CellValue> cells, std::string_view suffix_text = {}) = 0; // one cell for each column
    // Around its C text stand prefix ("jiffies = $2 = ") and suffix (","). Its lines but the first are indented by `indent`.
    virtual void value(const ValueTree& tree, std::string_view prefix = {}, std::string_view suffix = {}, unsigned indent = 0) = 0;
    // Text that has no structure (a help page, a blank line between groups). JSON: {"kind":"text"} unless `only_text`.
    virtual void text(std::string_view text, bool only_text = false) = 0;
    // The message without the command's name: the renderer prefixes it ("kmem: warning: ..."). Severity::error makes the
    // command fail although it goes on.
    virtual void note(Severity severity, std::string_view message) = 0;

    // One JSON document for each command. name: prefix of its messages, empty for none. Groups that an error left open are
    // closed.
    virtual void begin_command(std::string_view line, std::string_view name) = 0;
    virtual void end_command(bool ok) = 0;
    // Since begin_command: cells that were Missing, notes of Severity::error.
    virtual uint64_t unreadable() const = 0;
    virtual uint64_t errors() const = 0;
};

// The reader of a pipe has gone: stops the command quietly.
struct OutputClosed : Error {
    OutputClosed() : Error("the reader of the output has gone") {}
};

// Where rendered bytes go: the terminal through a pager, a file, a pipe, a string in tests. May throw Interrupted,
// OutputClosed, or another Error.
using Sink = std::function<void(std::string_view bytes)>;

std::unique_ptr<Report> make_text_report(Sink out, Sink errors);
std::unique_ptr<Report> make_json_report(Sink out);

// Control characters, invalid UTF-8 and bidirectional controls become visible: "\x1b". Newline and tab stay if `multiline`.
std::string escape(std::string_view bytes, bool multiline = false);

// The C text of a value tree, as gdb and crash print it.
std::string render_c(const ValueTree& tree, unsigned indent = 0);

} // namespace kcrash
