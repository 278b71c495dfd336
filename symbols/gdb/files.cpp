// SPDX-License-Identifier: GPL-3.0-or-later
// Symbols for GDB: the kernel's vmlinux where KASLR put it, modules where they were loaded, and the index that makes it quick.
//
// GDB reads 160 MB of debug information to find its names, and more at the first look-up. With an index file (named by build-id, in the
// cache folder) both together take a third of the time. The host writes one from its own pass; where it cannot, GDB goes without, and
// another process has it write its own for later sessions.
//
// Sections are moved one by one: "symbol-file -o" would move the per-cpu ones too, which begin at zero and stay.
#include "defs.h"
#include "bfd.h"
#include "build-id.h"
#include "dwarf2/index-cache.h"
#include "arch-utils.h"
#include "frame.h"
#include "gdb_bfd.h"
#include "gdbcmd.h"
#include "gdbcore.h"
#include "inferior.h"
#include "objfiles.h"
#include "progspace.h"
#include "symfile.h"
#include "gdbsupport/rsp-low.h"
#include "symbols/gdb/inside.hpp"
#include <sys/stat.h>

namespace kcrash::gdb_inside {
namespace {

// Where GDB keeps the index of this file; empty without a build-id or a cache folder.
std::string index_file(const std::string& path) {
    const std::string& folder = state().options.cache_folder;
    if (folder.empty() || !state().options.use_index) return {};
    const gdb_bfd_ref_ptr file = gdb_bfd_open(path.c_str(), gnutarget);
    if (file == nullptr || !bfd_check_format(file.get(), bfd_object)) return {};
    const bfd_build_id* id = build_id_bfd_get(file.get());
    return id ? folder + "/" + bin2hex(id->data, static_cast<int>(id->size)) + ".gdb-index" : std::string();
}

bool exists(const std::string& path) {
    struct stat status {};
    return !path.empty() && stat(path.c_str(), &status) == 0 && status.st_size > 0;
}

bool has_made(const std::string& path, const std::string& index) {
    if (index.empty() || !state().options.make_index) return false;
    const HostInterrupt host;
    return state().options.make_index(path, index) && exists(index);
}

void use_index_files(bool on) {
    if (on) execute_command(("set index-cache directory " + state().options.cache_folder).c_str(), 0);
    execute_command(on ? "set index-cache enabled on" : "set index-cache enabled off", 0);
}

void move_sections(objfile* kernel) {
    section_offsets offsets = kernel->section_offsets;
    for (asection* section = kernel->obfd->sections; section; section = section->next) {
        const int index = gdb_bfd_section_index(kernel->obfd.get(), section);
        const uint64_t linked = bfd_section_vma(section);
        if (!(bfd_section_flags(section) & SEC_ALLOC) || !state().world->moved(linked)) continue;
        offsets[static_cast<size_t>(index)] = state().world->to_run_time(linked) - linked;
    }
    objfile_relocate(kernel, offsets);
}

objfile* add_kernel(const std::string& path) {
    return symbol_file_add(path.c_str(), SYMFILE_MAINLINE | SYMFILE_DEFER_BP_RESET, nullptr, OBJF_USERLOADED);
}

void unlink_file(const std::string& path) {
    for (objfile* file : current_program_space->objfiles())
        if (path == objfile_name(file)) {
            file->unlink();
            return;
        }
}

void load_module(const GdbModule& module) {
    const auto known = state().modules.find(module.name);
    if (!module.trouble.empty()) {
        if (known == state().modules.end()) warning("no symbols of module %s: %s", module.name.c_str(), module.trouble.c_str());
        state().modules.emplace(module.name, std::string()); // said once
        return;
    }
    if (known != state().modules.end() && known->second == module.path) return;
    if (known != state().modules.end()) unlink_file(known->second);
    state().modules[module.name] = module.path;
    section_addr_info sections;
    for (const auto& [name, address] : module.sections)
        if (address) sections.emplace_back(address, std::string(name), static_cast<int>(sections.size()));
    try {
        symbol_file_add(module.path.c_str(), SYMFILE_DEFER_BP_RESET, &sections, OBJF_USERLOADED | OBJF_SHARED);
    } catch (const gdb_exception_quit&) { // the next command loads it whole
        unlink_file(module.path);
        state().modules.erase(module.name);
        throw;
    }
    reinit_frame_cache();
}

void set_bare_architecture() {
    execute_command(("set architecture " + state().world->architecture()).c_str(), 0);
    execute_command(state().world->big_endian() ? "set endian big" : "set endian little", 0);
}

} // namespace

void load_kernel() {
    if (state().loaded) return;
    const std::string path = state().world->vmlinux();
    const std::string index = path.empty() ? path : index_file(path);
    const bool use = exists(index) || has_made(path, index);
    state().loaded = true; // not before: what the host does may be interrupted
    if (path.empty()) return set_bare_architecture();
    try {
        if (use) use_index_files(true);
        objfile* kernel = add_kernel(path);
        if (use) use_index_files(false);
        execute_command("set language c", 0);
        set_gdbarch_from_file(kernel->obfd.get());
        move_sections(kernel);
    } catch (const gdb_exception_quit&) { // half of a kernel is worse than none: the next command loads it whole
        state().loaded = false;
        unlink_file(path);
        throw;
    }
}

void make_index(const std::string& vmlinux) {
    const std::string index = index_file(vmlinux);
    if (index.empty() || exists(index) || has_made(vmlinux, index)) return;
    use_index_files(true);
    add_kernel(vmlinux);
}

void load_modules(const std::string& line) {
    for (const GdbModule& module : state().world->modules(line)) {
        try {
            load_module(module);
        } catch (const gdb_exception_error& error) {
            warning("no symbols of module %s: %s", module.name.c_str(), error.what());
        }
    }
}

} // namespace kcrash::gdb_inside
