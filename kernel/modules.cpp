// SPDX-License-Identifier: GPL-3.0-or-later
// Reading struct module and what hangs off it: memory, sections, notes, the symbols that the module brought along.
//
// A module's memory is described in three ways: an array of kinds (mem[], ac3b43283923, 6.4), two struct module_layout
// (7523e4dc5057, 4.5), or plain members (module_core, core_size). All become ranges.
//
// Its symbols are the ELF symbol table that the kernel keeps of it (CONFIG_KALLSYMS): addresses in there are run-time ones,
// and types stand in an array beside it (typetab, "kallsyms: store type information in its own array", 5.2) or in st_info before that.
#include "kernel/modules.hpp"
#include "core/error.hpp"
#include "core/interrupt.hpp"
#include "kernel/list.hpp"
#include "kernel/module_attributes.hpp"
#include "kernel/module_symbols.hpp"
#include <algorithm>
#include <array>
#include <fmt/format.h>

namespace kcrash {
namespace {

constexpr uint64_t largest_module = uint64_t{1} << 32; // bytes; modules live within 1 or 2 GB of the kernel
constexpr uint64_t largest_note = 4096;

// Members of kernel structures, resolved once for all modules. What a kernel does not have is absent.
struct Layout {
    using Some = std::optional<Member>;
    Some list, name, mem, core_layout, init_layout, data_layout, module_core, module_init, sect_attrs, notes_attrs, kallsyms, build_id, percpu,
        percpu_size, taints;
    Some core_size, core_text_size, core_ro_size, init_size; // before 4.5
    Some memory_base, memory_size;                           // struct module_memory
    Some layout_base, layout_size, layout_text, layout_ro, layout_ro_init;
    std::array<std::pair<std::string_view, char>, 7> kinds{{{"MOD_TEXT", 't'}, {"MOD_DATA", 'd'}, {"MOD_RODATA", 'r'}, {"MOD_RO_AFTER_INIT", 'r'},
                                                            {"MOD_INIT_TEXT", 'i'}, {"MOD_INIT_DATA", 'd'}, {"MOD_INIT_RODATA", 'r'}}};
    std::array<std::optional<int64_t>, 7> kind_index;
    uint64_t module_size = 0, memory_stride = 0;

    ModuleAttributes sections, notes;

    explicit Layout(const Target& t) : sections(t, "struct module_sect_attrs", "nsections"), notes(t, "struct module_notes_attrs", "notes") {
        const auto of = [&](std::initializer_list<std::string_view> names) { return t.try_member("struct module", names); };
        list = of({"list"}), name = of({"name"}), mem = of({"mem"}), core_layout = of({"core_layout"}), init_layout = of({"init_layout"});
        data_layout = of({"data_layout"}), module_core = of({"module_core"}), module_init = of({"module_init"});
        sect_attrs = of({"sect_attrs"}), notes_attrs = of({"notes_attrs"}), kallsyms = of({"kallsyms"}), build_id = of({"build_id"});
        percpu = of({"percpu"}), percpu_size = of({"percpu_size"}), taints = of({"taints"});
        core_size = of({"core_size"}), core_text_size = of({"core_text_size"}), core_ro_size = of({"core_ro_size"}), init_size = of({"init_size"});
        const auto in = [&](std::string_view type, std::string_view member) { return t.try_member(type, {member}); };
        memory_base = in("struct module_memory", "base"), memory_size = in("struct module_memory", "size");
        layout_base = in("struct module_layout", "base"), layout_size = in("struct module_layout", "size");
        layout_text = in("struct module_layout", "text_size"), layout_ro = in("struct module_layout", "ro_size");
        layout_ro_init = in("struct module_layout", "ro_after_init_size");
        for (size_t i = 0; i < kinds.size(); ++i) kind_index[i] = t.types().enumerator(kinds[i].first);
        module_size = t.size_of("struct module");
        if (mem) memory_stride = t.size_of("struct module_memory");
    }
};

// The bytes of one struct module, read once.
class Reader {
public:
    Reader(const Target& target, const Layout& layout, LoadedModule& module, std::vector<std::string>& warnings)
        : target_(target), layout_(layout), module_(module), warnings_(warnings), bytes_(layout.module_size) {}

    void read() {
        const Fault fault = target_.kernel().try_read(VirtualAddress(module_.address), bytes_);
        if (fault != Fault::none) {
            module_.name = fmt::format("(0x{:x})", module_.address);
            module_.symbols = module_.own_symbols = no_module_symbols();
            return warn(fmt::format("struct module cannot be read: {}", describe(fault)));
        }
        read_name();
        read_memory();
        module_.taints = value(layout_.taints).value_or(0);
        module_.percpu = value(layout_.percpu).value_or(0);
        module_.percpu_size = value(layout_.percpu_size).value_or(0);
        if (!module_.percpu || module_.percpu + module_.percpu_size < module_.percpu) module_.percpu = module_.percpu_size = 0;
        guarded("sections", [&] { read_sections(); });
        guarded("build-id", [&] { read_build_id(); });
        module_.symbols = module_.own_symbols = read_module_kallsyms(target_, value(layout_.kallsyms).value_or(0));
    }

private:
    using Some = Layout::Some;

    void warn(std::string_view what) { warnings_.push_back(fmt::format("module {}: {}", module_.name, what)); }
    template <typename F> void guarded(std::string_view what, F read) {
        try {
            read();
        } catch (const MemoryError& error) {
            warn(fmt::format("{}: {}", what, error.what()));
        } catch (const LookupError& error) {
            warn(fmt::format("{}: {}", what, error.what()));
        } catch (const CorruptError& error) {
            warn(fmt::format("{}: {}", what, error.what()));
        }
    }

    // A number inside the struct, `base` bytes further than the member says; absent when this kernel has no such member.
    std::optional<uint64_t> value(const Some& member, uint64_t base = 0) const {
        if (!member || base + member->offset + member->size > bytes_.size() || member->size > 8) return std::nullopt;
        return member->load(std::span<const std::byte>(bytes_).subspan(base), target_.arch().order);
    }

    void read_name() {
        if (!layout_.name || layout_.name->offset + layout_.name->size > bytes_.size()) return;
        const char* start = reinterpret_cast<const char*>(bytes_.data()) + layout_.name->offset;
        module_.name.assign(start, strnlen(start, layout_.name->size));
        if (module_.name.empty()) module_.name = fmt::format("(0x{:x})", module_.address);
    }

    // False when the range cannot be: then nothing of it is believed.
    bool add_range(uint64_t base, uint64_t begin, uint64_t end, char kind, std::string_view name = {}) {
        if (!base || end <= begin || end > largest_module || base + end < base) return false;
        module_.ranges.push_back({base + begin, base + end, kind, name});
        return true;
    }

    // Text, then read-only data, then what is read-only after init, then the rest: the parts of one allocation.
    void add_layout(uint64_t base, uint64_t size, uint64_t text, uint64_t ro, uint64_t ro_init, char text_kind) {
        text = std::min(text, size), ro = std::clamp(ro, text, size), ro_init = std::clamp(ro_init, ro, size);
        add_range(base, 0, text, text_kind);
        add_range(base, text, ro_init, 'r');
        add_range(base, ro_init, size, 'd');
    }

    void read_layout(const Some& layout, char text_kind) {
        if (!layout) return;
        const uint64_t at = layout->offset, base = value(layout_.layout_base, at).value_or(0), size = value(layout_.layout_size, at).value_or(0);
        const uint64_t text = value(layout_.layout_text, at).value_or(size), ro = value(layout_.layout_ro, at).value_or(text);
        add_layout(base, size, text, ro, value(layout_.layout_ro_init, at).value_or(ro), text_kind);
        if (&layout == &layout_.core_layout) module_.base = base;
        if (text_kind == 't') module_.size += size;
    }

    void read_mem() {
        for (size_t i = 0; i < layout_.kinds.size(); ++i) {
            const auto index = layout_.kind_index[i];
            if (!index || *index < 0 || *index > 64) continue;
            const uint64_t at = layout_.mem->offset + static_cast<uint64_t>(*index) * layout_.memory_stride;
            const uint64_t base = value(layout_.memory_base, at).value_or(0), size = value(layout_.memory_size, at).value_or(0);
            const auto& [name, kind] = layout_.kinds[i];
            if (!add_range(base, 0, size, kind, name.substr(4))) continue;
            if (name == "MOD_TEXT") module_.base = base;
            if (!name.starts_with("MOD_INIT")) module_.size += size;
        }
    }

    void read_memory() {
        if (layout_.mem) return read_mem();
        if (layout_.core_layout) {
            read_layout(layout_.core_layout, 't');
            read_layout(layout_.data_layout, 't');
            return read_layout(layout_.init_layout, 'i');
        }
        module_.base = value(layout_.module_core).value_or(0);
        module_.size = value(layout_.core_size).value_or(0);
        const uint64_t text = value(layout_.core_text_size).value_or(module_.size), ro = value(layout_.core_ro_size).value_or(text);
        add_layout(module_.base, module_.size, text, ro, ro, 't');
        add_range(value(layout_.module_init).value_or(0), 0, value(layout_.init_size).value_or(0), 'i');
    }

    void read_sections() {
        const uint64_t attributes = value(layout_.sect_attrs).value_or(0);
        if (!attributes) return;
        for (ModuleAttribute& section : layout_.sections.read(attributes)) module_.sections.push_back({std::move(section.name), section.address});
    }

    void read_build_id() {
        if (layout_.build_id && layout_.build_id->offset + layout_.build_id->size <= bytes_.size() && layout_.build_id->size <= 64) {
            const auto* start = bytes_.data() + layout_.build_id->offset;
            module_.build_id.assign(start, start + layout_.build_id->size);
            const bool empty = std::all_of(module_.build_id.begin(), module_.build_id.end(), [](std::byte b) { return b == std::byte{0}; });
            if (!empty) return;
            module_.build_id.clear();
        }
        const uint64_t attributes = value(layout_.notes_attrs).value_or(0);
        if (!attributes) return;
        for (const ModuleAttribute& note : layout_.notes.read(attributes))
            if (note.name == ".note.gnu.build-id") read_build_id_note(note);
    }

    // One ELF note: sizes of name and description, type, name, description.
    void read_build_id_note(const ModuleAttribute& note) {
        if (note.size < 16 || note.size > largest_note) return;
        std::vector<std::byte> raw(note.size);
        target_.kernel().read(VirtualAddress(note.address), raw, "module build-id");
        const ByteOrder order = target_.arch().order;
        const uint64_t name = (load<uint32_t>(raw.data(), order) + uint64_t{3}) & ~uint64_t{3}, length = load<uint32_t>(raw.data() + 4, order);
        if (name > note.size || length > 64 || 12 + name + length > note.size) return;
        const auto start = raw.begin() + 12 + static_cast<ptrdiff_t>(name);
        module_.build_id.assign(start, start + static_cast<ptrdiff_t>(length));
    }

    const Target& target_;
    const Layout& layout_;
    LoadedModule& module_;
    std::vector<std::string>& warnings_;
    std::vector<std::byte> bytes_;
};

} // namespace

std::vector<LoadedModule> read_modules(const Target& target, std::vector<std::string>& warnings) {
    std::vector<LoadedModule> modules;
    const auto head = target.symbol_address("modules");
    if (!head || !target.types().find(TypeKind::structure, "module")) return modules; // a kernel without CONFIG_MODULES
    try {
        const Layout layout(target);
        if (!layout.list) throw LookupError("struct module has no member list");
        const ListNodes found = list_nodes(target.kernel(), target.arch().word_size, *head);
        if (!found.forward.whole()) warnings.push_back(fmt::format("list of modules: {}", found.forward.describe()));
        for (const uint64_t node : found.nodes) {
            check_interrupt();
            LoadedModule& module = modules.emplace_back();
            module.address = node - layout.list->offset;
            Reader(target, layout, module, warnings).read();
        }
    } catch (const LookupError& error) {
        warnings.push_back(fmt::format("list of modules: {}", error.what()));
    }
    return modules;
}

} // namespace kcrash
