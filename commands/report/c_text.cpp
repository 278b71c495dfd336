// SPDX-License-Identifier: GPL-3.0-or-later
// Value trees as C text, in the shape that gdb prints with "set print pretty".
//
//     {                        struct: members two deeper, the closing brace where it began
//       next = 0x1,
//       lock = {{              array of structs: its elements stand two deeper than the array
//           owner = 0
//         }, {
//           owner = 1
//         }},
//       bits = {1, 0 <repeats 15 times>}
//     }
//
// A tall array ("set print_array on") has each element on a line, two deeper than its braces.
#include "commands/report/render.hpp"
#include "commands/report/report.hpp"
#include <fmt/format.h>

namespace kcrash {
namespace {

void render(std::string& out, const ValueTree& tree, unsigned indent);

void render_members(std::string& out, const ValueTree& tree, unsigned indent) {
    out += "{\n";
    for (size_t i = 0; i < tree.children.size(); ++i) {
        const ValueTree& child = tree.children[i];
        out.append(indent + 2, ' ');
        if (!child.name.empty()) out += escape(child.name) + " = ";
        render(out, child, indent + 2);
        out += i + 1 < tree.children.size() ? ",\n" : "\n";
    }
    out.append(indent, ' ');
    out += "}";
}

bool is_dots(const ValueTree& element) { return element.children.empty() && element.text == "..."; }

void render_tall(std::string& out, const ValueTree& tree, unsigned indent) {
    out += "{";
    for (size_t i = 0; i < tree.children.size(); ++i) {
        const ValueTree& child = tree.children[i];
        if (is_dots(child)) {
            out += "..."; // behind the last element
            continue;
        }
        out += i > 0 ? ",\n" : "\n";
        out.append(indent + 2, ' ');
        render(out, child, indent + 2);
        if (child.repeats > 1) out += fmt::format(" <repeats {} times>", child.repeats);
    }
    out += "\n";
    out.append(indent, ' ');
    out += "}";
}

void render_elements(std::string& out, const ValueTree& tree, unsigned indent) {
    if (tree.is_tall) return render_tall(out, tree, indent);
    out += "{";
    for (size_t i = 0; i < tree.children.size(); ++i) {
        const ValueTree& child = tree.children[i];
        if (i > 0 && !is_dots(child)) out += ", ";
        render(out, child, indent + 2);
        if (child.repeats > 1) out += fmt::format(" <repeats {} times>", child.repeats);
    }
    out += "}";
}

void render(std::string& out, const ValueTree& tree, unsigned indent) {
    if (const auto* missing = std::get_if<Missing>(&tree.value)) out += "<" + escape(missing->reason) + ">";
    else if (tree.is_array) render_elements(out, tree, indent);
    else if (!tree.children.empty()) render_members(out, tree, indent);
    else out += tree.text.empty() ? cell_text(tree.value) : escape(tree.text, true);
}

} // namespace

std::string render_c(const ValueTree& tree, unsigned indent) {
    std::string out;
    render(out, tree, indent);
    return out;
}

} // namespace kcrash
