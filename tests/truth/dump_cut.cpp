// SPDX-License-Identifier: GPL-3.0-or-later
// dump_cut DUMP...: what is left of each dump when it is cut at each tenth of its length?
//
// A cut dump either opens with a warning, and then each page is the whole dump's or an error; or it is refused with a
// message that begins with the file's name. Anything else is a failure. Every seventh page is looked at.
#include "core/dump/dump.hpp"
#include "core/error.hpp"
#include "tests/fixtures/temporary_file.hpp"
#include <filesystem>
#include <fmt/format.h>

using namespace kcrash;

namespace {

// Counts of a cut dump's pages; false when one differs from the whole dump's.
bool check_pages(const Dump& whole, const Dump& cut) {
    std::vector<std::byte> expected(whole.info().page_size), page(cut.info().page_size);
    uint64_t same = 0, truncated = 0, wrong = 0;
    for (uint64_t frame = 0; frame < whole.info().max_frame; frame += 7) {
        const Fault before = whole.try_read_page(PageFrame(frame), expected), now = cut.try_read_page(PageFrame(frame), page);
        if (now == Fault::none) (before == Fault::none && page == expected ? same : wrong) += 1;
        else if (before == Fault::none) (now == Fault::truncated ? truncated : wrong) += 1;
        else wrong += now != before && now != Fault::truncated;
    }
    fmt::print("    pages as in the whole dump {}, truncated {}, wrong {}\n", same, truncated, wrong);
    return wrong == 0;
}

bool check_cut(const Dump& whole, const std::string& path) {
    try {
        const auto cut = open_dump({path});
        bool good = cut->info().truncated && !cut->info().warnings.empty();
        for (const std::string& warning : cut->info().warnings) fmt::print("    {}\n", warning);
        if (!good) fmt::print("    opens without a warning\n");
        return check_pages(whole, *cut) && good;
    } catch (const Error& error) {
        fmt::print("    refused: {}\n", error.what());
        return std::string_view(error.what()).starts_with(path);
    }
}

bool check_dump(const std::string& path) {
    const auto whole = open_dump({path});
    const fixtures::TemporaryFile copy("");
    std::filesystem::copy_file(path, copy.path(), std::filesystem::copy_options::overwrite_existing);
    const uint64_t size = std::filesystem::file_size(path);
    bool good = true;
    for (uint64_t tenth = 9; tenth > 0; --tenth) {
        copy.resize(size / 10 * tenth);
        fmt::print("{} cut to {} of {} bytes\n", path, size / 10 * tenth, size);
        good &= check_cut(*whole, copy.path());
    }
    return good;
}

} // namespace

int main(int argc, char** argv) {
    try {
        bool good = argc > 1;
        for (int i = 1; i < argc; ++i) good &= check_dump(argv[i]);
        return good ? 0 : 1;
    } catch (const std::exception& error) {
        fmt::print(stderr, "dump_cut: {}\n", error.what());
        return 2;
    }
}
