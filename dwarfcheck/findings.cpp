// SPDX-License-Identifier: GPL-3.0-or-later
// Findings as text and as one JSON document.
#include "dwarfcheck/findings.hpp"
#include "dwarfcheck/quote.hpp"
#include <fmt/format.h>
#include <iterator>

namespace kcrash::dwarfcheck {
namespace {

constexpr size_t most_differences = 100000; // that are told one by one: a file of which everything is wrong is wrong

std::string tally_line(std::string_view reader, const Tally& tally) {
    return fmt::format("{:<9} {} definitions: {} structs, {} unions, {} enums, {} typedefs, {} base types", fmt::format("{}:", reader), tally.total(),
                       tally.structs, tally.unions, tally.enums, tally.typedefs, tally.base_types);
}

std::string tally_json(std::string_view reader, const Tally& tally) {
    return fmt::format(R"("{}":{{"units":{},"definitions":{},"structs":{},"unions":{},"enums":{},"typedefs":{},"base_types":{},"declarations":{}}})", reader,
                       tally.units, tally.total(), tally.structs, tally.unions, tally.enums, tally.typedefs, tally.base_types, tally.declarations);
}

} // namespace

void Tally::add(TypeKind kind, bool declared) {
    if (declared || kind == TypeKind::declaration) {
        ++declarations;
        return;
    }
    switch (kind) {
    case TypeKind::structure: ++structs; break;
    case TypeKind::union_type: ++unions; break;
    case TypeKind::enumeration: ++enums; break;
    case TypeKind::typedef_type: ++typedefs; break;
    default: ++base_types;
    }
}

void Findings::difference(std::string text, std::string where) {
    const auto known = known_.find(text);
    if (known != known_.end()) {
        ++differences_[known->second].times;
    } else if (differences_.size() >= most_differences) {
        ++untold_;
    } else {
        known_.emplace(text, differences_.size());
        differences_.push_back({std::move(text), std::move(where), 1});
    }
}

std::string as_text(const FileFacts& file, const Findings& found) {
    std::string text;
    const auto line = [&](std::string_view words) { text += visible(words) + "\n"; };
    for (const Difference& difference : found.differences()) line(difference.text);
    if (found.untold()) line(fmt::format("and {} more", found.untold()));
    line(fmt::format("{}: {}{}", file.path, file.architecture, file.build_id.empty() ? "" : ", build-id " + file.build_id));
    line(fmt::format("{} in {} units", tally_line("libdw", found.libdw), found.libdw.units));
    line(fmt::format("{} in {} units", tally_line("libdwarf", found.libdwarf), found.libdwarf.units));
    if (found.has_btf) line(tally_line("BTF", found.btf));
    line(fmt::format("compared:  {} definitions of libdw with libdwarf's, unnamed ones with what they are part of{}", found.pairs,
                     found.has_btf ? fmt::format("; {} of {} that are distinct with BTF", found.in_btf, found.distinct) : ""));
    for (const auto& [reason, count] : found.skipped()) line(fmt::format("not compared: {}{}", count > 1 ? fmt::format("{} times ", count) : "", reason));
    line(fmt::format("{} differences", found.differences().size() + found.untold()));
    return text;
}

std::string as_json(const FileFacts& file, const Findings& found) {
    std::string text = fmt::format(R"({{"file":{},"architecture":{},"build_id":{},"readers":{{)", quoted(file.path), quoted(file.architecture), quoted(file.build_id));
    text += tally_json("libdw", found.libdw) + "," + tally_json("libdwarf", found.libdwarf);
    if (found.has_btf) text += "," + tally_json("btf", found.btf);
    text += fmt::format(R"(}},"compared":{{"entries":{},"distinct":{},"in_btf":{}}},"differences":[)", found.pairs, found.distinct, found.in_btf);
    std::string_view comma;
    for (const Difference& difference : found.differences()) {
        text += fmt::format(R"({}{{"text":{},"where":{},"times":{}}})", comma, quoted(difference.text), quoted(difference.where), difference.times);
        comma = ",";
    }
    text += fmt::format(R"(],"untold":{},"not_compared":[)", found.untold());
    comma = "";
    for (const auto& [reason, count] : found.skipped()) {
        text += fmt::format(R"({}{{"reason":{},"count":{}}})", comma, quoted(reason), count);
        comma = ",";
    }
    return text + "]}\n";
}

} // namespace kcrash::dwarfcheck
