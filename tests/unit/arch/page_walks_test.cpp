// SPDX-License-Identifier: GPL-3.0-or-later
// Every file of tests/fixtures/page_tables: tables as entries, walks as questions and answers.
#include "tests/fixtures/page_walks.hpp"
#include <algorithm>
#include <doctest/doctest.h>
#include <filesystem>

using namespace kcrash;

TEST_CASE("page tables: each walk of each fixture gives what the fixture says") {
    std::vector<std::filesystem::path> files;
    for (const auto& entry : std::filesystem::directory_iterator(KCRASH_FIXTURES "/page_tables"))
        if (entry.path().extension() == ".walks") files.push_back(entry.path());
    std::sort(files.begin(), files.end());
    REQUIRE(files.size() >= 14);
    for (const auto& path : files) {
        const fixtures::WalkFixture fixture(path.string());
        CHECK_MESSAGE(fixture.questions().size() > 0, path.filename().string());
        for (const auto& question : fixture.questions())
            CHECK_MESSAGE(fixture.answer(question) == question.answer, path.filename().string() << ":" << question.line);
    }
}
