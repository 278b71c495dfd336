// SPDX-License-Identifier: GPL-3.0-or-later
// The common ground of DWARF and BTF: what BTF cannot say is taken out of both.
#pragma once
#include "dwarfcheck/definition.hpp"

namespace kcrash::dwarfcheck {

Definition in_btf_form(Definition definition, Texts& texts);

} // namespace kcrash::dwarfcheck
