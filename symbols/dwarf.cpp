// SPDX-License-Identifier: GPL-3.0-or-later
// DebugInfo over libdw: lines and inlined calls; variables, types and CFI are in files of their own.
#include "core/error.hpp"
#include "symbols/dwarf_cfi.hpp"
#include "symbols/dwarf_file.hpp"
#include "symbols/dwarf_rows.hpp"
#include "symbols/dwarf_types.hpp"
#include "symbols/dwarf_variables.hpp"
#include "symbols/sources.hpp"
#include <dwarf.h>
#include <fmt/format.h>

namespace kcrash {
namespace {

constexpr size_t most_answers = 1 << 16; // that are kept: many tasks sleep at the same few addresses

class LibdwInfo final : public DebugInfo {
public:
    LibdwInfo(std::shared_ptr<DwarfFile> file, std::shared_ptr<const Types> kernel_types, bool use_cache, const ProgressMaker& progress)
        : file_(std::move(file)), types_(std::make_shared<DwarfTypes>(file_, std::move(kernel_types), use_cache, progress)) {}

    std::optional<SourceLine> line(uint64_t pc) override {
        const std::scoped_lock guard(file_->lock());
        return line_of(file_->to_file(pc));
    }

    std::vector<InlineFrame> inline_frames(uint64_t pc) override {
        const std::scoped_lock guard(file_->lock());
        const auto known = answers_.find(pc);
        if (known != answers_.end()) return known->second;
        if (answers_.size() >= most_answers) answers_.clear();
        return answers_[pc] = find_frames(file_->to_file(pc));
    }

    std::vector<VariableValue> variables(const FrameContext& frame) override { return read_variables(*file_, *types_, frame); }
    std::optional<CallSite> call_site(const FrameContext& frame) override { return read_call_site(*file_, frame); }
    std::shared_ptr<const TypeSource> types() override { return types_; }

    std::shared_ptr<const UnwindTable> cfi() override {
        std::call_once(cfi_opened_, [&] { cfi_ = open_cfi(file_); });
        return cfi_;
    }

private:
    std::optional<SourceLine> line_of(uint64_t pc) const {
        Dwarf_Die unit;
        if (!file_->unit_at(pc, unit)) return std::nullopt;
        Dwarf_Line* found = line_row(unit, pc);
        const char* path = found ? dwarf_linesrc(found, nullptr, nullptr) : nullptr;
        if (!path) return std::nullopt;
        int line = 0, column = 0;
        dwarf_lineno(found, &line);
        dwarf_linecol(found, &column);
        return SourceLine{full_path(unit, path), static_cast<unsigned>(line), static_cast<unsigned>(column)};
    }

    // A path is relative to the folder that the unit was compiled in; that may be relative itself (-fdebug-prefix-map).
    static std::string full_path(Dwarf_Die& unit, std::string_view path) {
        Dwarf_Attribute attribute;
        const char* folder = path.starts_with('/') ? nullptr : dwarf_formstring(dwarf_attr(&unit, DW_AT_comp_dir, &attribute));
        return folder && *folder ? fmt::format("{}/{}", folder, path) : std::string(path);
    }

    // Where an inlined call stands in the function that has it.
    std::optional<SourceLine> call_of(Dwarf_Die& inlined) const {
        Dwarf_Attribute attribute;
        Dwarf_Word number = 0, line = 0, column = 0;
        Dwarf_Die unit;
        Dwarf_Files* files = nullptr;
        if (dwarf_formudata(dwarf_attr(&inlined, DW_AT_call_file, &attribute), &number) != 0 || !dwarf_diecu(&inlined, &unit, nullptr, nullptr) ||
            dwarf_getsrcfiles(&unit, &files, nullptr) != 0)
            return std::nullopt;
        const char* path = dwarf_filesrc(files, number, nullptr, nullptr);
        if (!path) return std::nullopt;
        dwarf_formudata(dwarf_attr(&inlined, DW_AT_call_line, &attribute), &line);
        dwarf_formudata(dwarf_attr(&inlined, DW_AT_call_column, &attribute), &column);
        return SourceLine{full_path(unit, path), static_cast<unsigned>(line), static_cast<unsigned>(column)};
    }

    std::vector<InlineFrame> find_frames(uint64_t pc) const {
        std::vector<InlineFrame> frames;
        std::optional<SourceLine> location = line_of(pc);
        auto scopes = file_->scopes_at(pc);
        for (size_t i = scopes.size(); i-- > 0;) {
            const int tag = dwarf_tag(&scopes[i]);
            if (tag != DW_TAG_inlined_subroutine && tag != DW_TAG_subprogram) continue;
            frames.push_back({std::string(dwarf_name(scopes[i])), location, tag == DW_TAG_inlined_subroutine});
            if (tag == DW_TAG_subprogram) break;
            location = call_of(scopes[i]);
        }
        return frames;
    }

    std::shared_ptr<DwarfFile> file_;
    std::shared_ptr<DwarfTypes> types_;
    std::once_flag cfi_opened_;
    std::shared_ptr<const UnwindTable> cfi_;
    std::unordered_map<uint64_t, std::vector<InlineFrame>> answers_;
};

} // namespace

std::unique_ptr<DebugInfo> open_dwarf(std::shared_ptr<const ElfFile> file, const Architecture& arch, Slide slide, const LoadedModule* module,
                                      std::shared_ptr<const Types> kernel_types, bool use_cache, const ProgressMaker& progress) {
    auto opened = std::make_shared<DwarfFile>(std::move(file), arch, slide, module);
    return std::make_unique<LibdwInfo>(std::move(opened), std::move(kernel_types), use_cache, progress);
}

} // namespace kcrash
