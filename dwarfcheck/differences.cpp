// SPDX-License-Identifier: GPL-3.0-or-later
// The differences of two definitions, in words.
#include "dwarfcheck/definition.hpp"
#include <fmt/format.h>
#include <map>

namespace kcrash::dwarfcheck {
namespace {

class Comparison {
public:
    Comparison(const Definition& ours, std::string_view our_reader, const Definition& theirs, std::string_view their_reader,
               const std::function<void(std::string)>& say)
        : ours_(ours), theirs_(theirs), our_reader_(our_reader), their_reader_(their_reader), say_(say), title_(title(ours.name.empty() ? theirs : ours)) {}

    void run() {
        if (ours_.kind != theirs_.kind) return tell("", word(ours_.kind), word(theirs_.kind));
        if (ours_.name != theirs_.name) tell("", quoted(ours_.name), quoted(theirs_.name), "name ");
        // What a typedef stands for tells its size.
        if (ours_.size != theirs_.size && ours_.kind != TypeKind::typedef_type) tell("", ours_.size, theirs_.size, "size ");
        if (ours_.is_signed != theirs_.is_signed) tell("", sign(ours_.is_signed), sign(theirs_.is_signed));
        if (ours_.fields.size() == theirs_.fields.size()) {
            for (size_t i = 0; i < ours_.fields.size(); ++i) compare(ours_.fields[i], theirs_.fields[i], i);
        } else {
            match_by_name();
        }
    }

private:
    template <typename A, typename B> void tell(std::string_view about, const A& ours, const B& theirs, std::string_view what = "") {
        say_(fmt::format("{}: {}{}{} says {}{}, {} {}", title_, about, about.empty() ? "" : ": ", our_reader_, what, ours, their_reader_, theirs));
    }

    static std::string_view word(TypeKind kind) {
        switch (kind) {
        case TypeKind::structure: return "a struct";
        case TypeKind::union_type: return "a union";
        case TypeKind::enumeration: return "an enum";
        case TypeKind::typedef_type: return "a typedef";
        case TypeKind::declaration: return "declared only";
        case TypeKind::boolean: return "a boolean";
        case TypeKind::floating: return "a floating-point number";
        case TypeKind::integer: return "an integer";
        default: return "another type";
        }
    }
    static std::string_view sign(bool is_signed) { return is_signed ? "signed" : "unsigned"; }
    static std::string quoted(std::string_view name) { return name.empty() ? "none" : std::string(name); }

    std::string about(const Field& field, size_t number) const {
        if (ours_.kind == TypeKind::typedef_type && field.name.empty() && number == 0) return "";
        const std::string_view kind = field.type.empty() ? "enumerator" : "member";
        return field.name.empty() ? fmt::format("{} {}, unnamed", kind, number + 1) : fmt::format("{} {}", kind, field.name);
    }

    static std::string offset(const Field& field, bool bits) {
        return bits ? fmt::format("{}", field.bit_offset) : fmt::format("{}", field.bit_offset / 8);
    }

    void compare(const Field& ours, const Field& theirs, size_t number) {
        if (ours == theirs) return;
        const std::string where = about(ours, number);
        if (ours.name != theirs.name) return tell(where, quoted(ours.name), quoted(theirs.name), "name ");
        if (ours.value != theirs.value) tell(where, ours.value, theirs.value, "value ");
        if (ours.type != theirs.type) tell(where, ours.type, theirs.type, "type ");
        else if (ours.size != theirs.size) tell(where, ours.size, theirs.size, "size ");
        if (ours.bit_offset != theirs.bit_offset) {
            const bool bits = ours.bit_size || theirs.bit_size || ours.bit_offset % 8 || theirs.bit_offset % 8;
            tell(where, offset(ours, bits), offset(theirs, bits), bits ? "bit offset " : "offset ");
        }
        if (ours.bit_size != theirs.bit_size) tell(where, bits(ours), bits(theirs));
    }

    static std::string bits(const Field& field) { return field.bit_size ? fmt::format("{} bits", field.bit_size) : "no bit-field"; }

    // One has more: those of the same name (and the same turn, where a name comes more than once) belong together.
    void match_by_name() {
        std::map<std::pair<std::string_view, size_t>, size_t> places;
        std::map<std::string_view, size_t> turns;
        for (size_t i = 0; i < theirs_.fields.size(); ++i) places[{theirs_.fields[i].name, turns[theirs_.fields[i].name]++}] = i;
        turns.clear();
        for (size_t i = 0; i < ours_.fields.size(); ++i) {
            const Field& field = ours_.fields[i];
            const auto found = places.find({field.name, turns[field.name]++});
            if (found == places.end()) {
                missing(field, i, our_reader_, their_reader_);
                continue;
            }
            compare(field, theirs_.fields[found->second], i);
            places.erase(found);
        }
        for (const auto& [key, i] : places) missing(theirs_.fields[i], i, their_reader_, our_reader_);
    }

    void missing(const Field& field, size_t number, std::string_view has, std::string_view has_not) {
        say_(fmt::format("{}: {}: {} has it, {} has not", title_, about(field, number), has, has_not));
    }

    const Definition &ours_, &theirs_;
    std::string_view our_reader_, their_reader_;
    const std::function<void(std::string)>& say_;
    std::string title_;
};

} // namespace

void differences(const Definition& ours, std::string_view our_reader, const Definition& theirs, std::string_view their_reader,
                 const std::function<void(std::string)>& say) {
    Comparison(ours, our_reader, theirs, their_reader, say).run();
}

} // namespace kcrash::dwarfcheck
