// SPDX-License-Identifier: GPL-3.0-or-later
// Call frame information (DWARF 5 specification, sections 6.4 and 7.24; .eh_frame: Linux Standard Base, chapter 10.6).
//
//     CIE: length | id | version | augmentation | factors | return column | first instructions      shared by many functions
//     FDE: length | which CIE | first address | bytes | instructions                                 one function
//
// The instructions build a table with a row for each address: how to find the CFA, and where each register of the caller is.
// Only the row in question is built. The functions are listed once, at the first look-up, so that each later one is a search.
//
// A register that the instructions do not mention is the caller's if the architecture has functions keep it, else it is lost.
#include "symbols/dwarf_cfi.hpp"
#include "core/cursor.hpp"
#include "core/interrupt.hpp"
#include <algorithm>
#include <array>
#include <dwarf.h>

namespace kcrash {
namespace {

constexpr size_t most_remembered = 64;

struct Cie {
    unsigned version = 0, address_size = 8;
    uint64_t code_factor = 1;
    int64_t data_factor = 1;
    uint64_t return_column = 0;
    unsigned encoding = DW_EH_PE_absptr;
    bool augmented = false, known = false;
    uint64_t begin = 0, end = 0; // of the first instructions, in the section
};

struct Fde {
    uint64_t first, last; // addresses, exclusive end
    uint64_t cie;         // offset
    uint64_t begin, end;  // of the instructions, in the section
};

// The rules of a row while it is built.
struct State {
    bool expression = false; // the CFA is one
    unsigned cfa_register = 0;
    int64_t cfa_offset = 0;
    UnwindRow cfa; // of an expression
    std::array<std::optional<RegisterRule>, Registers::max> rules;
};

class Cfi final : public UnwindTable {
public:
    Cfi(std::shared_ptr<const DwarfFile> file, std::span<const std::byte> bytes, uint64_t address, bool eh)
        : file_(std::move(file)), bytes_(bytes), address_(address), eh_(eh) {}

    std::optional<UnwindRow> find(uint64_t run_time) const override {
        std::call_once(listed_, [&] { list(); });
        const uint64_t pc = file_->to_file(run_time);
        auto above = std::upper_bound(fdes_.begin(), fdes_.end(), pc, [](uint64_t value, const Fde& fde) { return value < fde.first; });
        if (above == fdes_.begin()) return std::nullopt;
        const Fde& fde = *std::prev(above);
        if (pc >= fde.last) return std::nullopt;
        try {
            return row(fde, pc);
        } catch (const FileError&) {
            return std::nullopt;
        }
    }

    std::string_view source() const override { return "CFI"; }

private:
    using Rule = RegisterRule;

    Cursor cursor(uint64_t at, uint64_t end) const {
        Cursor found(bytes_.first(end), file_->arch().order, eh_ ? ".eh_frame" : ".debug_frame");
        found.seek(at);
        return found;
    }

    // An address as `encoding` has it.
    uint64_t pointer(Cursor& at, unsigned encoding) const {
        const uint64_t here = address_ + at.offset();
        uint64_t value = 0;
        switch (encoding & 0x0f) {
        case DW_EH_PE_absptr: value = at.word(file_->arch().word_size); break;
        case DW_EH_PE_udata2: value = at.u16(); break;
        case DW_EH_PE_udata4: value = at.u32(); break;
        case DW_EH_PE_udata8: case DW_EH_PE_sdata8: value = at.u64(); break;
        case DW_EH_PE_sdata2: value = static_cast<uint64_t>(int64_t{at.s16()}); break;
        case DW_EH_PE_sdata4: value = static_cast<uint64_t>(int64_t{at.s32()}); break;
        default: throw FileError(at.where() + ": an address of unknown form");
        }
        if ((encoding & 0x70) == DW_EH_PE_pcrel) value += here;
        return value;
    }

    void list() const {
        uint64_t at = 0;
        try {
            while (at + 4 < bytes_.size()) {
                check_interrupt();
                at = list_entry(at);
            }
        } catch (const FileError&) { // what follows a damaged length cannot be found
        }
        std::stable_sort(fdes_.begin(), fdes_.end(), [](const Fde& a, const Fde& b) { return a.first < b.first; });
    }

    // Gives where the next entry starts.
    uint64_t list_entry(uint64_t start) const {
        Cursor head = cursor(start, bytes_.size());
        uint64_t length = head.u32();
        const bool wide = length == 0xffffffff;
        if (wide) length = head.u64();
        const uint64_t id_at = head.offset();
        if (length > head.left()) throw FileError(head.where() + ": an entry that is longer than the section");
        const uint64_t end = id_at + length;
        if (length < (wide ? 8u : 4u)) return end; // padding
        Cursor at = cursor(id_at, end);
        const uint64_t id = wide ? at.u64() : at.u32();
        const bool is_cie = eh_ ? id == 0 : id == (wide ? ~uint64_t{0} : 0xffffffff);
        if (is_cie) return end;
        const uint64_t cie_at = eh_ ? id_at - id : id;
        try {
            const Cie& cie = this->cie(cie_at);
            if (!cie.known) return end;
            Fde fde{};
            fde.cie = cie_at;
            fde.first = pointer(at, cie.encoding);
            const uint64_t size = pointer(at, cie.encoding & 0x0f);
            if (cie.augmented) at.skip(at.uleb128());
            fde.begin = at.offset(), fde.end = end;
            if (size && fde.first + size > fde.first) fde.last = fde.first + size, fdes_.push_back(fde);
        } catch (const FileError&) { // this function has no rules
        }
        return end;
    }

    const Cie& cie(uint64_t start) const {
        const auto [it, fresh] = cies_.try_emplace(start);
        if (fresh) it->second = read_cie(start);
        return it->second;
    }

    Cie read_cie(uint64_t start) const {
        Cie cie;
        Cursor at = cursor(start, bytes_.size());
        uint64_t length = at.u32();
        const bool wide = length == 0xffffffff;
        if (wide) length = at.u64();
        if (length > at.left()) return cie;
        cie.end = at.offset() + length;
        at = cursor(at.offset(), cie.end);
        const uint64_t id = wide ? at.u64() : at.u32();
        if (eh_ ? id != 0 : id != (wide ? ~uint64_t{0} : 0xffffffff)) return cie;
        cie.version = at.u8();
        if (cie.version != 1 && cie.version != 3 && cie.version != 4) return cie;
        const std::string_view augmentation = at.string();
        if (cie.version == 4) {
            cie.address_size = at.u8();
            if (at.u8() != 0 || cie.address_size != file_->arch().word_size) return cie; // segmented, or of another machine
        }
        cie.code_factor = at.uleb128();
        cie.data_factor = at.sleb128();
        cie.return_column = cie.version == 1 ? at.u8() : at.uleb128();
        if (!augmentation.empty() && !read_augmentation(cie, at, augmentation)) return cie;
        cie.begin = at.offset();
        cie.known = cie.return_column < Registers::max;
        return cie;
    }

    bool read_augmentation(Cie& cie, Cursor& at, std::string_view augmentation) const {
        if (augmentation[0] != 'z') return false;
        cie.augmented = true;
        const uint64_t length = at.uleb128(), end = at.offset() + length;
        for (const char letter : augmentation.substr(1)) {
            if (letter == 'R') cie.encoding = at.u8();
            else if (letter == 'L') at.u8();
            else if (letter == 'P') pointer(at, at.u8());
            else if (letter != 'S' && letter != 'B') break; // unknown: its length is known all the same
        }
        at.seek(end);
        return (cie.encoding & 0x80) == 0; // addresses of addresses are for shared libraries
    }

    std::optional<UnwindRow> row(const Fde& fde, uint64_t pc) const {
        const Cie& cie = cies_.at(fde.cie); // listed, and not changed since
        State state;
        Cursor first = cursor(cie.begin, cie.end);
        uint64_t location = fde.first;
        if (!execute(first, cie, location, ~uint64_t{0}, state, nullptr)) return std::nullopt;
        const State initial = state;
        Cursor at = cursor(fde.begin, fde.end);
        if (!execute(at, cie, location, pc, state, &initial)) return std::nullopt;
        return to_row(state, cie);
    }

    static uint64_t number(uint64_t value) {
        if (value >= Registers::max) throw FileError("a register of impossible number");
        return value;
    }

    // Runs until the row for `pc` is complete. False: an instruction that is not known.
    bool execute(Cursor& at, const Cie& cie, uint64_t& location, uint64_t pc, State& state, const State* initial) const {
        std::vector<State> remembered;
        const auto set = [&](uint64_t which, Rule rule) { state.rules[number(which)] = rule; };
        const auto factored = [&](uint64_t value) { return static_cast<int64_t>(value * static_cast<uint64_t>(cie.data_factor)); };
        const auto signed_factored = [&](int64_t value) { return factored(static_cast<uint64_t>(value)); };
        const auto restore = [&](uint64_t which) {
            state.rules[number(which)] = initial ? initial->rules[which] : std::nullopt;
        };
        while (!at.at_end()) {
            const unsigned op = at.u8(), low = op & 0x3f;
            uint64_t advance = 0;
            switch (op & 0xc0) {
            case DW_CFA_advance_loc: advance = low * cie.code_factor; break;
            case DW_CFA_offset: set(low, {Rule::Kind::at_cfa, 0, factored(at.uleb128())}); continue;
            case DW_CFA_restore: restore(low); continue;
            default: break;
            }
            switch ((op & 0xc0) ? 0 : op) {
            case DW_CFA_nop: break;
            case DW_CFA_set_loc: {
                const uint64_t to = pointer(at, cie.encoding);
                if (to > pc) return true;
                location = to;
                break;
            }
            case DW_CFA_advance_loc1: advance = at.u8() * cie.code_factor; break;
            case DW_CFA_advance_loc2: advance = at.u16() * cie.code_factor; break;
            case DW_CFA_advance_loc4: advance = at.u32() * cie.code_factor; break;
            case DW_CFA_MIPS_advance_loc8: advance = at.u64() * cie.code_factor; break;
            case DW_CFA_offset_extended: { const uint64_t r = at.uleb128(); set(r, {Rule::Kind::at_cfa, 0, factored(at.uleb128())}); break; }
            case DW_CFA_offset_extended_sf: { const uint64_t r = at.uleb128(); set(r, {Rule::Kind::at_cfa, 0, signed_factored(at.sleb128())}); break; }
            case DW_CFA_GNU_negative_offset_extended: { const uint64_t r = at.uleb128(); set(r, {Rule::Kind::at_cfa, 0, -factored(at.uleb128())}); break; }
            case DW_CFA_val_offset: { const uint64_t r = at.uleb128(); set(r, {Rule::Kind::cfa_plus, 0, factored(at.uleb128())}); break; }
            case DW_CFA_val_offset_sf: { const uint64_t r = at.uleb128(); set(r, {Rule::Kind::cfa_plus, 0, signed_factored(at.sleb128())}); break; }
            case DW_CFA_register: { const uint64_t r = at.uleb128(); set(r, {Rule::Kind::in_register, static_cast<unsigned>(number(at.uleb128())), 0}); break; }
            case DW_CFA_restore_extended: restore(at.uleb128()); break;
            case DW_CFA_undefined: set(at.uleb128(), {Rule::Kind::undefined, 0, 0}); break;
            case DW_CFA_same_value: set(at.uleb128(), {Rule::Kind::same, 0, 0}); break;
            case DW_CFA_expression: { const uint64_t r = at.uleb128(); set(r, expression(at, true)); break; }
            case DW_CFA_val_expression: { const uint64_t r = at.uleb128(); set(r, expression(at, false)); break; }
            case DW_CFA_remember_state:
                if (remembered.size() == most_remembered) return false;
                remembered.push_back(state);
                break;
            case DW_CFA_restore_state:
                if (remembered.empty()) return false;
                state = remembered.back();
                remembered.pop_back();
                break;
            case DW_CFA_def_cfa: define(state, number(at.uleb128())), state.cfa_offset = static_cast<int64_t>(at.uleb128()); break;
            case DW_CFA_def_cfa_sf: define(state, number(at.uleb128())), state.cfa_offset = signed_factored(at.sleb128()); break;
            case DW_CFA_def_cfa_register: define(state, number(at.uleb128())); break;
            case DW_CFA_def_cfa_offset: state.cfa_offset = static_cast<int64_t>(at.uleb128()); break;
            case DW_CFA_def_cfa_offset_sf: state.cfa_offset = signed_factored(at.sleb128()); break;
            case DW_CFA_def_cfa_expression:
                if (!cfa_expression(at, state)) return false;
                break;
            case DW_CFA_GNU_args_size: at.uleb128(); break;
            case DW_CFA_GNU_window_save: break; // AArch64: the return address is signed from here on, or no longer
            default: return false;
            }
            if (advance) {
                if (location + advance > pc || location + advance < location) return true;
                location += advance;
            }
        }
        return true;
    }

    static void define(State& state, uint64_t which) {
        state.cfa_register = static_cast<unsigned>(which);
        state.expression = false;
    }

    // "register + offset", and perhaps what memory holds there: all that kernels' CFI has. Nothing: more than that.
    struct Simple { unsigned number; int64_t offset; bool dereference; int64_t add; };
    static std::optional<Simple> simple(Cursor& at) {
        const auto bytes = at.bytes(at.uleb128());
        Cursor op(bytes, at.order(), "a CFI expression");
        const unsigned atom = op.u8();
        Simple found{};
        if (atom >= DW_OP_breg0 && atom <= DW_OP_breg31) found.number = atom - DW_OP_breg0;
        else if (atom == DW_OP_bregx) found.number = static_cast<unsigned>(number(op.uleb128()));
        else return std::nullopt;
        found.offset = op.sleb128();
        while (!op.at_end()) {
            const unsigned next = op.u8();
            if (next == DW_OP_deref && !found.dereference) found.dereference = true;
            else if (next == DW_OP_plus_uconst) (found.dereference ? found.add : found.offset) += static_cast<int64_t>(op.uleb128());
            else return std::nullopt;
        }
        return found;
    }

    static Rule expression(Cursor& at, bool in_memory) {
        const auto found = simple(at);
        if (!found || found->add || (in_memory && found->dereference)) return {Rule::Kind::undefined, 0, 0};
        const bool memory = in_memory || found->dereference;
        return {memory ? Rule::Kind::at_register : Rule::Kind::in_register, found->number, found->offset};
    }

    static bool cfa_expression(Cursor& at, State& state) {
        const auto found = simple(at);
        if (!found) return false;
        state.expression = true;
        state.cfa.cfa_register = found->number;
        state.cfa.cfa_offset = found->offset;
        state.cfa.cfa_dereference = found->dereference;
        state.cfa.cfa_add = found->add;
        return true;
    }

    static bool is_same(const std::optional<Rule>& rule) { return !rule || rule->kind == Rule::Kind::same; }

    UnwindRow to_row(const State& state, const Cie& cie) const {
        UnwindRow row = state.expression ? state.cfa : UnwindRow{};
        if (!state.expression) row.cfa_register = state.cfa_register, row.cfa_offset = state.cfa_offset;
        const Architecture& arch = file_->arch();
        row.source = "CFI";
        row.frame = UnwindRow::Frame::call;
        for (unsigned i = 0; i < Registers::max; ++i) {
            const bool kept = std::find(arch.callee_saved.begin(), arch.callee_saved.end(), i) != arch.callee_saved.end();
            const unsigned to = i == cie.return_column ? arch.pc : i;
            if (i == cie.return_column && i != arch.pc && is_same(state.rules[i])) continue;
            if (state.rules[i]) row.rules.push_back({to, *state.rules[i]});
            else if (i == arch.sp) row.rules.push_back({i, {Rule::Kind::cfa_plus, 0, 0}});
            else if (kept) row.rules.push_back({i, {Rule::Kind::same, 0, 0}});
        }
        const auto& back = state.rules[cie.return_column];
        if (cie.return_column != arch.pc && is_same(back)) // nobody saved it: it is still in its register
            row.rules.push_back({arch.pc, {Rule::Kind::in_register, static_cast<unsigned>(cie.return_column), 0}});
        if (back && back->kind == Rule::Kind::undefined) row.frame = UnwindRow::Frame::end;
        return row;
    }

    std::shared_ptr<const DwarfFile> file_;
    std::span<const std::byte> bytes_;
    uint64_t address_; // of the section, for .eh_frame's relative addresses
    bool eh_;
    mutable std::once_flag listed_;
    mutable std::vector<Fde> fdes_;
    mutable std::map<uint64_t, Cie> cies_;
};

} // namespace

std::shared_ptr<const UnwindTable> open_cfi(std::shared_ptr<const DwarfFile> file) {
    for (const char* name : {".debug_frame", ".eh_frame"}) {
        const auto bytes = file->section(name);
        const ElfSection* section = file->file().section(name);
        if (!bytes.empty()) return std::make_shared<Cfi>(std::move(file), bytes, section->address, name[1] == 'e');
    }
    return nullptr;
}

} // namespace kcrash
