// SPDX-License-Identifier: GPL-3.0-or-later
// The text report: what a person reads, in the columns of crash.
#include "commands/report/render.hpp"
#include <fmt/format.h>

namespace kcrash {
namespace {

class TextReport : public Report {
public:
    TextReport(Sink out, Sink errors) : out_(std::move(out)), errors_(std::move(errors)) {}

    void record(std::string_view, std::string_view layout, const Fields& fields) override {
        columns_ = {};
        unreadable_ += count_missing(fields);
        if (!layout.empty()) line(fill_layout(layout, fields));
    }
    void begin(std::string_view kind, std::string_view layout, const Fields& fields) override { record(kind, layout, fields); }
    void end() override { columns_ = {}; }

    void table(std::string_view, std::span<const Column> columns) override {
        columns_.assign(columns.begin(), columns.end());
        bool any = false;
        for (const Column& column : columns_) any |= !column.header.empty();
        if (!any) return;
        std::vector<std::string> texts;
        for (const Column& column : columns_) texts.emplace_back(column.header);
        columns_line(texts, {});
    }
    void row(std::vector<CellValue> cells, std::string_view suffix) override {
        std::vector<std::string> texts;
        for (const CellValue& cell : cells) {
            unreadable_ += std::holds_alternative<Missing>(cell);
            texts.push_back(cell_text(cell));
        }
        columns_line(texts, suffix);
    }
    void value(const ValueTree& tree, std::string_view prefix, std::string_view suffix, unsigned indent) override {
        columns_ = {};
        unreadable_ += count_missing(tree);
        line(escape(prefix, true) + render_c(tree, indent) + escape(suffix));
    }
    void text(std::string_view text, bool) override {
        columns_ = {};
        line(escape(text, true));
    }
    void note(Severity severity, std::string_view message) override {
        errors_count_ += severity == Severity::error;
        std::string text = escape(message, true);
        if (severity == Severity::warning) text = "warning: " + text;
        if (!name_.empty() && !message.starts_with(name_ + ": ")) text = name_ + ": " + text;
        if (severity == Severity::note) return line(text);
        flush();
        errors_(text + "\n");
    }

    void begin_command(std::string_view, std::string_view name) override {
        name_ = name;
        unreadable_ = errors_count_ = 0;
        columns_ = {};
        buffer_.clear();
    }
    void end_command(bool) override {
        if (unreadable_ == 1) line(name_ + ": 1 value could not be read");
        else if (unreadable_ > 1) line(fmt::format("{}: {} values could not be read", name_, unreadable_));
        flush();
    }
    uint64_t unreadable() const override { return unreadable_; }
    uint64_t errors() const override { return errors_count_; }

private:
    void columns_line(const std::vector<std::string>& texts, std::string_view suffix) {
        std::string out;
        for (size_t i = 0; i < texts.size() && i < columns_.size(); ++i) {
            const Column& column = columns_[i];
            if (i > 0 || column.before != " ") out += column.before;
            out += pad(texts[i], column.width, column.align, i + 1 == columns_.size() && suffix.empty());
        }
        out += escape(suffix);
        out.erase(out.find_last_not_of(' ') + 1);
        line(out);
    }
    void line(std::string_view text) {
        buffer_ += text;
        buffer_ += '\n';
        if (buffer_.size() >= 16384) flush();
    }
    void flush() {
        if (buffer_.empty()) return;
        std::string bytes;
        bytes.swap(buffer_); // a sink that throws must not see them again
        out_(bytes);
    }

    Sink out_, errors_;
    std::string name_, buffer_;
    std::vector<Column> columns_;
    uint64_t unreadable_ = 0, errors_count_ = 0;
};

} // namespace

std::unique_ptr<Report> make_text_report(Sink out, Sink errors) {
    return std::make_unique<TextReport>(std::move(out), std::move(errors));
}

} // namespace kcrash
