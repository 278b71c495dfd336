// SPDX-License-Identifier: GPL-3.0-or-later
// The dead kernel as the embedded GDB asks for it: symbols/gdb/world.hpp, answered from a target and its tasks.
#pragma once
#include "kernel/stack/machine.hpp"
#include "symbols/gdb/world.hpp"
#include <functional>
#include <map>
#include <memory>

namespace kcrash {

class ElfFile;

// What GDB cannot know by itself: whose tasks these are, and which is the current one. They may throw; GdbKernel keeps that from GDB.
struct GdbHost {
    std::function<const Tasks&()> tasks;
    std::function<const Task&()> current;
    std::function<void(const Task&)> select;
};

// Looks at the target, which must outlive it. For one thread.
class GdbKernel final : public GdbWorld {
public:
    GdbKernel(const Target& target, GdbHost host);
    ~GdbKernel() override;
    std::string vmlinux() const override;
    uint64_t to_run_time(uint64_t linked) const override;
    bool moved(uint64_t linked) const override;
    std::string architecture() const override;
    bool big_endian() const override;
    std::vector<GdbModule> modules(const std::string& line) override;
    std::vector<uint64_t> tasks() override;
    uint64_t current_task() override;
    void select_task(uint64_t task) override;
    std::string task_title(uint64_t task) override;
    std::string task_name(uint64_t task) override;
    GdbRegisters task_registers(uint64_t task) override;
    std::vector<unsigned> register_numbers() const override;
    std::optional<unsigned> link_register() const override;
    std::vector<GdbField> told_fields() const override;
    std::optional<GdbCaller> caller(uint64_t task, const GdbRegisters& frame, bool is_return_address) override;
    bool signs_code() const override;
    uint64_t code_address(uint64_t value) const override;
    size_t read(uint64_t task, uint64_t address, void* into, size_t size, std::string& reason) override;

private:
    const Task* find(uint64_t task) const;
    const AddressSpace* space_of(uint64_t task);
    GdbRegisters as_gdb(const Registers& registers) const;
    std::optional<GdbModule> open_module(const LoadedModule& module); // nothing: there is no file of it
    void add_module(std::vector<GdbModule>& found, const LoadedModule* module);

    const Target& target_;
    GdbHost host_;
    Unwinder unwinder_;
    std::vector<unsigned> numbers_;                                   // registers that kcrash and DWARF both know
    std::map<std::string, std::shared_ptr<ElfFile>> module_files_;    // kept open: their path may be that of an unpacked copy
    std::map<uint64_t, std::unique_ptr<AddressSpace>> user_spaces_;   // by task; null: it has none
};

} // namespace kcrash
