// SPDX-License-Identifier: GPL-3.0-or-later
// A line table is a program that prints rows. Compilers print many for one address, and for one line; GDB drops some of them while it reads:
//
//   - one of the same file and line as the row before, once that line has had a discriminator;
//   - one of another file at the same address that begins no statement, where a statement begins there already;
//   - those of a file at the address at which the program goes on to another file.
//
// Of what is left the last at or before the address counts; where that begins no statement, one before it at the same address that does.
// Some hundred rows before the address are enough to know which are left. Source: what gdb 13 answers to "info line" (tests/gdb/lines.py).
#include "symbols/dwarf_rows.hpp"
#include <algorithm>
#include <optional>
#include <vector>

namespace kcrash {
namespace {

constexpr size_t looked_back = 256; // rows

struct Row {
    Dwarf_Line* row;
    Dwarf_Addr address = 0;
    int line = 0;
    unsigned discriminator = 0;
    const char* file = nullptr; // one pointer for one file
    bool statement = false, end = false;
};

std::optional<Row> read_row(Dwarf_Lines* rows, size_t i) {
    Row row{dwarf_onesrcline(rows, i)};
    if (dwarf_lineaddr(row.row, &row.address) != 0 || dwarf_lineno(row.row, &row.line) != 0 || dwarf_linebeginstatement(row.row, &row.statement) != 0 ||
        dwarf_lineendsequence(row.row, &row.end) != 0 || dwarf_linediscriminator(row.row, &row.discriminator) != 0)
        return std::nullopt;
    row.file = dwarf_linesrc(row.row, nullptr, nullptr);
    return row;
}

// How many rows are at or before pc: they ascend.
size_t rows_up_to(Dwarf_Lines* rows, size_t count, uint64_t pc) {
    size_t begin = 0, end = count;
    while (begin < end) {
        const size_t middle = begin + (end - begin) / 2;
        Dwarf_Addr address = 0;
        if (dwarf_lineaddr(dwarf_onesrcline(rows, middle), &address) == 0 && address <= pc) begin = middle + 1;
        else end = middle;
    }
    return begin;
}

// Takes rows in order, keeps those that GDB would.
class Kept {
public:
    void take(const Row& row) {
        if (row.end) return restart();
        const bool goes_on = row.line == line_before_; // in the program, whatever its file
        discriminated_ = (goes_on && discriminated_) || row.discriminator != 0;
        line_before_ = row.line;
        const bool other_file = row.file != file_, here = row.address == address_;
        if (!(other_file && here && !row.statement && statement_here_) && row.line != 0) {
            if (other_file) leave_file(row.address);
            if (other_file || row.line != line_ || !discriminated_) rows_.push_back(row);
            file_ = row.file;
            line_ = row.line;
        }
        statement_here_ = (here && statement_here_) || row.statement;
        address_ = row.address;
    }
    Dwarf_Line* best() const {
        if (rows_.empty()) return nullptr;
        const Row& last = rows_.back();
        for (size_t i = rows_.size(); i-- > 0 && rows_[i].address == last.address && rows_[i].file == last.file;)
            if (rows_[i].statement) return rows_[i].row;
        return last.row;
    }

private:
    void leave_file(uint64_t address) {
        while (!rows_.empty() && rows_.back().address == address && rows_.back().file == file_) rows_.pop_back();
    }
    void restart() { *this = Kept(); }

    std::vector<Row> rows_;
    const char* file_ = nullptr;
    int line_ = 0, line_before_ = 0;
    bool discriminated_ = false, statement_here_ = false;
    uint64_t address_ = ~uint64_t{0};
};

} // namespace

Dwarf_Line* line_row(Dwarf_Die& unit, uint64_t pc) {
    Dwarf_Line* last = dwarf_getsrc_die(&unit, pc);
    Dwarf_Lines* rows = nullptr;
    size_t count = 0;
    if (!last || dwarf_getsrclines(&unit, &rows, &count) != 0) return last;
    const size_t end = rows_up_to(rows, count, pc);
    Kept kept;
    for (size_t i = end - std::min(end, looked_back); i < end; ++i) {
        const auto row = read_row(rows, i);
        if (!row) return last;
        kept.take(*row);
    }
    Dwarf_Line* best = kept.best();
    return best ? best : last;
}

} // namespace kcrash
