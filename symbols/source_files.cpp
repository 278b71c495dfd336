// SPDX-License-Identifier: GPL-3.0-or-later
// Source files by the ends of their paths.
#include "symbols/source_files.hpp"
#include <filesystem>
#include <fmt/format.h>
#include <fstream>
#include <system_error>

namespace kcrash {
namespace {

constexpr uintmax_t largest = 64 << 20; // bytes; the kernel's largest header has 20 MB
constexpr size_t tab = 8;

bool is_source(const std::filesystem::path& path) {
    std::error_code error;
    return std::filesystem::is_regular_file(path, error) && std::filesystem::file_size(path, error) <= largest && !error;
}

std::string without_tabs(std::string_view line) {
    std::string text;
    for (const char c : line) {
        if (c == '\t') text.append(tab - text.size() % tab, ' ');
        else if (c != '\r') text += c;
    }
    return text;
}

// The file's own path, or what the folders have of it; empty: none.
std::filesystem::path find(const std::string& recorded, const std::vector<std::string>& folders) {
    const std::filesystem::path path = std::filesystem::path(recorded).lexically_normal();
    if (path.is_absolute() && is_source(path)) return path;
    for (const std::string& folder : folders) {
        for (auto part = path.begin(); part != path.end(); ++part) {
            std::filesystem::path candidate = folder;
            for (auto rest = part; rest != path.end(); ++rest)
                if (*rest != "/" && *rest != "..") candidate /= *rest;
            if (is_source(candidate)) return candidate;
        }
    }
    return {};
}

} // namespace

const std::vector<std::string>* SourceFiles::lines(const std::string& recorded) {
    const auto [entry, is_new] = files_.try_emplace(recorded);
    File& file = entry->second;
    if (!is_new) return file.found ? &file.lines : nullptr;
    const std::filesystem::path path = find(recorded, folders_);
    if (path.empty()) return nullptr;
    std::ifstream in(path);
    for (std::string line; std::getline(in, line);) file.lines.push_back(without_tabs(line));
    file.found = !file.lines.empty();
    return file.found ? &file.lines : nullptr;
}

std::string SourceFiles::searched(const std::string& recorded) const {
    std::string places = recorded;
    for (size_t i = 0; i < folders_.size(); ++i) places += fmt::format("{}{}", i ? ", " : ", and its end in ", folders_[i]);
    return places;
}

} // namespace kcrash
