// SPDX-License-Identifier: GPL-3.0-or-later
// System registers of which the kernel tells a field, as $NAME: the kernel's own scripts ask for TCR_EL1 of arm64.
//
// No dump has the whole register. What is printed names the field that is known, "[ T1SZ=16 ]", and nothing else; as an integer the
// value has only that field's bits.
#include "defs.h"
#include "frame.h"
#include "gdbarch.h"
#include "gdbtypes.h"
#include "user-regs.h"
#include "value.h"
#include "symbols/gdb/inside.hpp"

namespace kcrash::gdb_inside {
namespace {

struct ToldRegister {
    std::string name;
    struct type* type;
};

struct value* read_told(frame_info_ptr, const void* baton) {
    const auto& told = *static_cast<const ToldRegister*>(baton);
    ULONGEST bits = 0;
    bool known = false;
    if (state().world)
        for (const GdbField& field : state().world->told_fields()) {
            if (field.reg != told.name) continue;
            bits |= ULONGEST{field.value} << field.first;
            known = true;
        }
    if (!known) error("this dump does not tell %s", told.name.c_str());
    struct value* result = allocate_value(told.type);
    store_unsigned_integer(value_contents_raw(result).data(), told.type->length(), type_byte_order(told.type), bits);
    return result;
}

} // namespace

void add_told_registers(struct gdbarch* arch) {
    std::map<std::string, struct type*> types;
    for (const GdbField& field : state().world->told_fields()) {
        struct type*& type = types[field.reg];
        if (!type) type = arch_flags_type(arch, xstrdup(field.reg.c_str()), 64);
        append_flags_type_field(type, static_cast<int>(field.first), static_cast<int>(field.bits), builtin_type(arch)->builtin_uint32, xstrdup(field.name.c_str()));
    }
    for (const auto& [name, type] : types) { // GDB keeps them with the architecture, which lasts as long as the process
        const auto* told = new ToldRegister{name, type};
        user_reg_add(arch, told->name.c_str(), read_told, told);
    }
}

} // namespace kcrash::gdb_inside
