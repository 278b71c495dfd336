// SPDX-License-Identifier: GPL-3.0-or-later
// The kernel's source on this machine, by the names that the compiler recorded.
#pragma once
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace kcrash {

// Keeps the files that it has read. For one thread.
class SourceFiles {
public:
    // folders: where the kernel's tree may lie, best first.
    explicit SourceFiles(std::vector<std::string> folders) : folders_(std::move(folders)) {}

    // A file's lines, tabs made blanks; null when it is not here. "/build/linux/kernel/panic.c" is looked for as it stands, then in
    // each folder by as much of its end as is there: build/linux/kernel/panic.c, linux/kernel/panic.c, kernel/panic.c, panic.c.
    const std::vector<std::string>* lines(const std::string& recorded);
    // Where that was, for messages: "/build/linux/kernel/panic.c, and its end in /usr/src/linux".
    std::string searched(const std::string& recorded) const;

private:
    struct File {
        bool found = false;
        std::vector<std::string> lines;
    };
    std::vector<std::string> folders_;
    std::map<std::string, File, std::less<>> files_;
};

} // namespace kcrash
