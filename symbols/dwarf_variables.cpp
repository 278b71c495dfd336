// SPDX-License-Identifier: GPL-3.0-or-later
// Which variables a frame has, and where they are.
//
// The scopes around the address are a chain: function, blocks, inlined calls in them. Each has its variables as children. Those
// that an inlined call or a function's second copy does not need anywhere are missing from the copy and stand only in its
// abstract origin: they are optimized out, and are listed as such.
//
// The value that a parameter had when the function was entered is what its caller passed: where the caller's own DWARF describes
// the call (DW_TAG_call_site) it can be computed in the caller's frame, provided that the call really led to this function. The
// caller may be in another file (a module called the kernel), so a call is read by itself, outermost frame first, and each
// frame is told of the call that led to it: no file's lock is ever taken under another's.
#include "symbols/dwarf_variables.hpp"
#include "symbols/dwarf_expression.hpp"
#include <algorithm>
#include <dwarf.h>
#include <fmt/format.h>

namespace kcrash {
namespace {

constexpr uint64_t largest_value = 1 << 20; // bytes
constexpr size_t most_variables = 4096;     // of one frame

using State = VariableValue::State;

bool flag(Dwarf_Die& entry, unsigned name) {
    Dwarf_Attribute attribute;
    bool value = false;
    return dwarf_attr(&entry, name, &attribute) && dwarf_formflag(&attribute, &value) == 0 && value;
}

std::optional<Dwarf_Die> reference(Dwarf_Die& entry, unsigned name) {
    Dwarf_Attribute attribute;
    Dwarf_Die target;
    if (!dwarf_attr(&entry, name, &attribute) || !dwarf_formref_die(&attribute, &target)) return std::nullopt;
    return target;
}

// Evaluates attributes of one frame's function.
class FrameEvaluator {
public:
    FrameEvaluator(const DwarfFile& file, const FrameContext& frame) : file_(file), frame_(frame), pc_(file.to_file(frame.pc)) {
        scopes_ = file.scopes_at(pc_);
    }

    std::vector<Dwarf_Die>& scopes() { return scopes_; }

    // Where an attribute (a location, a frame base, a call's value) leads.
    Location locate(Dwarf_Attribute& attribute, uint64_t size) {
        Dwarf_Op* operations = nullptr;
        size_t count = 0;
        const int found = dwarf_getlocation_addr(&attribute, pc_, &operations, &count, 1);
        if (found < 0) return NoValue{State::unsupported, fmt::format("a location that cannot be read: {}", dwarf_errmsg(-1))};
        if (found == 0) return NoValue{State::optimized_out, {}};
        const ExpressionContext context{file_, frame_, [this] { return frame_base(); }, [this](unsigned number) { return entry_value(number); }, &attribute};
        return evaluate(context, {operations, count}, size);
    }

    // The call that this frame is in, with what it passes.
    std::optional<CallSite> call() {
        auto entry = call_entry();
        if (!entry) return std::nullopt;
        CallSite site;
        for (const unsigned name : {unsigned{DW_AT_call_origin}, unsigned{DW_AT_abstract_origin}})
            if (auto origin = site.function.empty() ? reference(*entry, name) : std::nullopt) site.function = dwarf_name(*origin);
        Dwarf_Attribute attribute;
        if (site.function.empty() && dwarf_attr(&*entry, DW_AT_call_target, &attribute)) {
            const Location target = as_value(locate(attribute, 8));
            if (const auto* computed = std::get_if<Immediate>(&target)) site.target = computed->value;
        }
        each_child(*entry, [&](Dwarf_Die& child) {
            const int tag = dwarf_tag(&child);
            if (tag == DW_TAG_call_site_parameter || tag == DW_TAG_GNU_call_site_parameter) add_passed(child, site);
            return true;
        });
        return site;
    }

private:
    Location frame_base() {
        Dwarf_Attribute attribute;
        if (scopes_.empty() || in_frame_base_ || !dwarf_attr_integrate(&scopes_.front(), DW_AT_frame_base, &attribute))
            return NoValue{State::unsupported, "a function without a frame base"};
        in_frame_base_ = true;
        const Location base = locate(attribute, file_.arch().word_size);
        in_frame_base_ = false;
        return base;
    }

    Location entry_value(unsigned number) {
        const NoValue unknown{State::not_recovered, register_name(file_.arch(), number) + " at entry"};
        if (!frame_.call || scopes_.empty() || !leads_here(*frame_.call)) return unknown;
        for (const CallSite::Passed& passed : frame_.call->passed) {
            if (passed.number != number) continue;
            if (passed.value) return Immediate{*passed.value};
            return NoValue{passed.state, passed.reason};
        }
        return unknown;
    }

    // Did the call lead to this function? Else another one lies between, which left by a jump.
    bool leads_here(const CallSite& call) {
        Dwarf_Die& function = scopes_.front();
        if (!call.function.empty()) return call.function == dwarf_name(function);
        Dwarf_Addr begin = 0;
        return call.target && dwarf_lowpc(&function, &begin) == 0 && file_.to_file(*call.target) == begin;
    }

    // A call's value is what its expression leaves on the stack.
    static Location as_value(const Location& found) {
        if (const auto* at = std::get_if<AtAddress>(&found)) return Immediate{at->address};
        if (const auto* in = std::get_if<InRegister>(&found)) return Immediate{in->value};
        return found;
    }

    static std::optional<unsigned> register_of(Dwarf_Die& parameter) {
        Dwarf_Attribute attribute;
        Dwarf_Op* operations = nullptr;
        size_t count = 0;
        if (!dwarf_attr(&parameter, DW_AT_location, &attribute) || dwarf_getlocation(&attribute, &operations, &count) != 0 || count != 1) return std::nullopt;
        const unsigned atom = operations[0].atom;
        if (atom == DW_OP_regx) return static_cast<unsigned>(operations[0].number);
        if (atom < DW_OP_reg0 || atom > DW_OP_reg31) return std::nullopt;
        return atom - DW_OP_reg0;
    }

    void add_passed(Dwarf_Die& parameter, CallSite& site) {
        Dwarf_Attribute attribute;
        const auto number = register_of(parameter);
        if (!number || site.passed.size() >= Registers::max) return;
        if (!dwarf_attr(&parameter, DW_AT_call_value, &attribute) && !dwarf_attr(&parameter, DW_AT_GNU_call_site_value, &attribute)) return;
        const Location found = as_value(locate(attribute, 8));
        if (const auto* computed = std::get_if<Immediate>(&found)) site.passed.push_back({*number, computed->value, State::value, {}});
        else if (const auto* none = std::get_if<NoValue>(&found)) site.passed.push_back({*number, std::nullopt, none->state, none->reason});
    }

    // The entry of the call that this frame is in: the one that returns to where the frame goes on.
    std::optional<Dwarf_Die> call_entry() {
        const uint64_t returns_to = pc_ + 1;
        for (auto scope = scopes_.rbegin(); scope != scopes_.rend(); ++scope) {
            std::optional<Dwarf_Die> found;
            each_child(*scope, [&](Dwarf_Die& child) {
                const int tag = dwarf_tag(&child);
                Dwarf_Addr pc = 0;
                Dwarf_Attribute attribute;
                const bool is_site = (tag == DW_TAG_call_site && dwarf_attr(&child, DW_AT_call_return_pc, &attribute)) ||
                                     (tag == DW_TAG_GNU_call_site && dwarf_attr(&child, DW_AT_low_pc, &attribute));
                if (!is_site || dwarf_formaddr(&attribute, &pc) != 0 || pc != returns_to) return true;
                found = child;
                return false;
            });
            if (found) return found;
        }
        return std::nullopt;
    }

    const DwarfFile& file_;
    const FrameContext& frame_;
    uint64_t pc_;
    bool in_frame_base_ = false;
    std::vector<Dwarf_Die> scopes_;
};

class Lister {
public:
    Lister(const DwarfFile& file, const DwarfTypes& types, const FrameContext& frame) : file_(file), types_(types), frame_(frame), evaluator_(file, frame) {}

    std::vector<VariableValue> run() {
        auto& scopes = evaluator_.scopes();
        for (size_t i = scopes.size(); i-- > 0;) {
            function_.clear();
            for (size_t j = i + 1; j-- > 0 && function_.empty();)
                if (dwarf_tag(&scopes[j]) != DW_TAG_lexical_block) function_ = dwarf_name(scopes[j]);
            list(scopes[i], true);
            list(scopes[i], false);
        }
        return std::move(found_);
    }

private:
    static bool wanted(Dwarf_Die& child, bool parameters) {
        const int tag = dwarf_tag(&child);
        return parameters ? tag == DW_TAG_formal_parameter : tag == DW_TAG_variable && !flag(child, DW_AT_declaration);
    }

    void list(Dwarf_Die& scope, bool parameters) {
        std::vector<Dwarf_Off> origins;
        each_child(scope, [&](Dwarf_Die& child) {
            if (!wanted(child, parameters)) return true;
            if (auto origin = reference(child, DW_AT_abstract_origin)) origins.push_back(dwarf_dieoffset(&*origin));
            add(child, parameters);
            return found_.size() < most_variables;
        });
        auto origin = reference(scope, DW_AT_abstract_origin);
        if (!origin) return;
        each_child(*origin, [&](Dwarf_Die& child) { // what the copy left out
            if (!wanted(child, parameters) || std::find(origins.begin(), origins.end(), dwarf_dieoffset(&child)) != origins.end()) return true;
            add(child, parameters);
            return found_.size() < most_variables;
        });
    }

    void add(Dwarf_Die& entry, bool parameter) {
        VariableValue value;
        value.name = dwarf_name(entry);
        if (value.name.empty()) return;
        value.function = function_;
        value.is_parameter = parameter;
        value.type = types_.of_entry(entry);
        const uint64_t size = value.type ? value.type->size : file_.arch().word_size;
        Dwarf_Attribute attribute;
        if (size > largest_value) fill(value, NoValue{State::unsupported, "a value of impossible size"}, size);
        else if (dwarf_attr_integrate(&entry, DW_AT_const_value, &attribute)) fill(value, constant(attribute), size);
        else if (dwarf_attr_integrate(&entry, DW_AT_location, &attribute)) fill(value, evaluator_.locate(attribute, size), size);
        found_.push_back(std::move(value));
    }

    static Location constant(Dwarf_Attribute& attribute) {
        Dwarf_Block block{};
        Dwarf_Sword number = 0;
        if (dwarf_formblock(&attribute, &block) == 0) {
            const auto* data = reinterpret_cast<const std::byte*>(block.data);
            return Bytes{{data, data + block.length}};
        }
        if (const char* text = dwarf_formstring(&attribute)) {
            const auto* data = reinterpret_cast<const std::byte*>(text);
            return Bytes{{data, data + std::char_traits<char>::length(text) + 1}};
        }
        if (dwarf_formsdata(&attribute, &number) == 0) return Immediate{static_cast<uint64_t>(number)};
        return NoValue{State::unsupported, "a constant of unknown form"};
    }

    void fill(VariableValue& value, const Location& location, uint64_t size) const {
        if (const auto* none = std::get_if<NoValue>(&location)) {
            value.state = none->state;
            value.reason = none->reason;
        } else if (const auto* at = std::get_if<AtAddress>(&location)) {
            fill_from_memory(value, at->address, size);
        } else if (const auto* bytes = std::get_if<Bytes>(&location)) {
            value.state = State::value;
            value.bytes = bytes->bytes;
            value.bytes.resize(size);
        } else {
            const auto* in = std::get_if<InRegister>(&location);
            const uint64_t bits = in ? in->value : std::get<Immediate>(location).value;
            if (size > 8) {
                value.state = State::unsupported;
                value.reason = fmt::format("{} bytes in one register", size);
                return;
            }
            value.state = State::value;
            value.bytes.resize(size);
            const bool little = file_.arch().order == ByteOrder::little;
            for (size_t i = 0; i < size; ++i) value.bytes[little ? i : size - 1 - i] = static_cast<std::byte>(bits >> (8 * i));
        }
    }

    // Readable or not is known only by reading.
    void fill_from_memory(VariableValue& value, uint64_t address, uint64_t size) const {
        std::vector<std::byte> bytes(std::max<uint64_t>(size, 1));
        const Fault fault = frame_.read ? frame_.read(address, bytes) : Fault::not_in_dump;
        value.state = fault == Fault::none ? State::in_memory : State::unreadable;
        value.address = address;
        if (fault != Fault::none) value.reason = fmt::format("0x{:x}: {}", address, describe(fault));
    }

    const DwarfFile& file_;
    const DwarfTypes& types_;
    const FrameContext& frame_;
    FrameEvaluator evaluator_;
    std::string function_;
    std::vector<VariableValue> found_;
};

} // namespace

std::vector<VariableValue> read_variables(const DwarfFile& file, const DwarfTypes& types, const FrameContext& frame) {
    const std::scoped_lock guard(file.lock());
    return Lister(file, types, frame).run();
}

std::optional<CallSite> read_call_site(const DwarfFile& file, const FrameContext& frame) {
    const std::scoped_lock guard(file.lock());
    return FrameEvaluator(file, frame).call();
}

} // namespace kcrash
