// SPDX-License-Identifier: GPL-3.0-or-later
// A stack machine (DWARF 5 specification, section 2.5). Values are 64 bits wide and remember whether an operation made them
// signed or unsigned integers of a narrower type (DW_OP_convert and its kind); compilers use that for 32-bit arithmetic.
#include "symbols/dwarf_expression.hpp"
#include <algorithm>
#include <dwarf.h>
#include <fmt/format.h>

namespace kcrash {
namespace {

constexpr size_t most_steps = 10000;
constexpr size_t most_values = 256;
constexpr size_t largest_value = 1 << 16; // bytes put together from pieces

using State = VariableValue::State;

struct Value {
    uint64_t bits = 0;
    unsigned size = 8;     // bytes of its type; 8: the generic type
    bool is_signed = true; // generic values compare as signed ones
};

struct Stop { NoValue why; }; // ends an evaluation; never leaves this file

[[noreturn]] void stop(State state, std::string reason) { throw Stop{{state, std::move(reason)}}; }
[[noreturn]] void unsupported(const Dwarf_Op& op) { stop(State::unsupported, fmt::format("DWARF operation 0x{:x}", op.atom)); }

class Machine {
public:
    Machine(const ExpressionContext& context, std::span<const Dwarf_Op> operations, uint64_t size)
        : context_(context), operations_(operations), size_(size), word_(context.file.arch().word_size) {}

    Location run() {
        if (operations_.empty()) return NoValue{State::optimized_out, {}};
        for (size_t steps = 0; at_ < operations_.size(); ++steps) {
            if (steps == most_steps) stop(State::unsupported, "an endless DWARF expression");
            const Dwarf_Op& op = operations_[at_++];
            if (op.atom == DW_OP_piece) add_piece(op);
            else step(op);
        }
        if (!pieces_.empty()) return gathered();
        return result();
    }

private:
    void push(uint64_t bits) { push(Value{bits}); }
    void push(Value value) {
        if (stack_.size() == most_values) stop(State::unsupported, "a DWARF expression that grows without end");
        stack_.push_back(value);
    }
    Value pop() {
        if (stack_.empty()) stop(State::unsupported, "a damaged DWARF expression");
        const Value value = stack_.back();
        stack_.pop_back();
        return value;
    }

    uint64_t register_value(unsigned number) const {
        const auto value = context_.frame.registers ? context_.frame.registers->get(number) : std::nullopt;
        if (!value) stop(State::not_recovered, register_name(context_.file.arch(), number));
        return *value;
    }

    uint64_t read(uint64_t address, uint64_t size) const {
        std::byte bytes[8];
        const std::span<std::byte> into(bytes, std::min<uint64_t>(size, 8));
        const Fault fault = context_.frame.read ? context_.frame.read(address, into) : Fault::not_in_dump;
        if (fault != Fault::none) stop(State::unreadable, fmt::format("0x{:x}: {}", address, describe(fault)));
        return load_unsigned(into, context_.file.arch().order);
    }

    static Value typed(uint64_t bits, unsigned size, bool is_signed) {
        if (size < 8) bits = is_signed ? static_cast<uint64_t>(sign_extend(bits, size * 8)) : bits & ((uint64_t{1} << size * 8) - 1);
        return {bits, size, is_signed};
    }

    // Bits as a value of the base type that an operation names; offset 0 stands for the generic type.
    Value with_type(uint64_t bits, const Dwarf_Op& op, uint64_t offset) const {
        if (offset == 0) return {bits, 8, true};
        Dwarf_Die type;
        Dwarf_Attribute attribute;
        Dwarf_Word size = 0, encoding = 0;
        const bool found = context_.attribute && dwarf_getlocation_die(context_.attribute, &op, &type) == 0 &&
                           dwarf_formudata(dwarf_attr(&type, DW_AT_byte_size, &attribute), &size) == 0 &&
                           dwarf_formudata(dwarf_attr(&type, DW_AT_encoding, &attribute), &encoding) == 0;
        if (!found || size == 0 || size > 8 || encoding == DW_ATE_float) stop(State::unsupported, "a DWARF value of a type that is not an integer");
        return typed(bits, static_cast<unsigned>(size), encoding == DW_ATE_signed || encoding == DW_ATE_signed_char);
    }

    // Jumps are in bytes; operations know where they stand.
    void jump(const Dwarf_Op& op) {
        const uint64_t to = op.offset + 3 + op.number;
        const auto target = std::find_if(operations_.begin(), operations_.end(), [&](const Dwarf_Op& other) { return other.offset == to; });
        at_ = static_cast<size_t>(target - operations_.begin());
    }

    void step(const Dwarf_Op& op) {
        const unsigned atom = op.atom;
        if (atom >= DW_OP_lit0 && atom <= DW_OP_lit31) return push(atom - DW_OP_lit0);
        if (atom >= DW_OP_reg0 && atom <= DW_OP_reg31) return in_register(atom - DW_OP_reg0);
        if (atom >= DW_OP_breg0 && atom <= DW_OP_breg31) return push(register_value(atom - DW_OP_breg0) + op.number);
        if (constant(op) || place(op) || shuffle(op) || arithmetic(op)) return;
        switch (atom) {
        case DW_OP_stack_value: immediate_ = true; return;
        case DW_OP_nop: return;
        case DW_OP_skip: return jump(op);
        case DW_OP_bra:
            if (pop().bits) jump(op);
            return;
        case DW_OP_entry_value: case DW_OP_GNU_entry_value: return entry_value();
        case DW_OP_implicit_value: return implicit_value(op);
        case DW_OP_implicit_pointer: case DW_OP_GNU_implicit_pointer: return synthetic_pointer(op);
        case DW_OP_GNU_parameter_ref: case DW_OP_GNU_variable_value: stop(State::optimized_out, {});
        default: unsupported(op);
        }
    }

    bool constant(const Dwarf_Op& op) {
        switch (op.atom) {
        case DW_OP_const1u: case DW_OP_const2u: case DW_OP_const4u: case DW_OP_const8u: case DW_OP_constu:
        case DW_OP_const1s: case DW_OP_const2s: case DW_OP_const4s: case DW_OP_const8s: case DW_OP_consts: push(op.number); return true;
        case DW_OP_addr: push(context_.file.to_run_time(op.number)); return true;
        case DW_OP_addrx: case DW_OP_GNU_addr_index: push(context_.file.to_run_time(indexed(op))); return true;
        case DW_OP_constx: case DW_OP_GNU_const_index: push(indexed(op)); return true;
        case DW_OP_const_type: case DW_OP_GNU_const_type: push(constant_of_type(op)); return true;
        default: return false;
        }
    }

    // A word of .debug_addr. libdw knows where this unit's part of it begins.
    uint64_t indexed(const Dwarf_Op& op) const {
        Dwarf_Attribute inner;
        Dwarf_Addr address = 0;
        Dwarf_Word word = 0;
        if (!context_.attribute || dwarf_getlocation_attr(context_.attribute, &op, &inner) != 0) unsupported(op);
        if (dwarf_formaddr(&inner, &address) == 0) return address;
        if (dwarf_formudata(&inner, &word) == 0) return word;
        unsupported(op);
    }

    // The compiler kept what a pointer points to, but in no place that could have an address.
    [[noreturn]] void synthetic_pointer(const Dwarf_Op& op) const {
        Dwarf_Die variable;
        if (!context_.attribute || dwarf_getlocation_die(context_.attribute, &op, &variable) != 0) unsupported(op);
        stop(State::synthetic, std::string(dwarf_name(variable)));
    }

    Value constant_of_type(const Dwarf_Op& op) const {
        Dwarf_Attribute inner;
        Dwarf_Block block{};
        if (!context_.attribute || dwarf_getlocation_attr(context_.attribute, &op, &inner) != 0 || dwarf_formblock(&inner, &block) != 0) unsupported(op);
        return with_type(load_unsigned({reinterpret_cast<const std::byte*>(block.data), block.length}, context_.file.arch().order), op, op.number);
    }

    bool place(const Dwarf_Op& op) {
        switch (op.atom) {
        case DW_OP_regx: in_register(static_cast<unsigned>(op.number)); return true;
        case DW_OP_bregx: push(register_value(static_cast<unsigned>(op.number)) + op.number2); return true;
        case DW_OP_fbreg: push(base_address() + op.number); return true;
        case DW_OP_call_frame_cfa:
            if (!context_.frame.cfa) stop(State::not_recovered, "CFA");
            push(context_.frame.cfa);
            return true;
        case DW_OP_deref: push(read(pop().bits, word_)); return true;
        case DW_OP_deref_size: push(read(pop().bits, op.number)); return true;
        case DW_OP_deref_type: case DW_OP_GNU_deref_type: push(with_type(read(pop().bits, op.number), op, op.number2)); return true;
        case DW_OP_regval_type: case DW_OP_GNU_regval_type: push(with_type(register_value(static_cast<unsigned>(op.number)), op, op.number2)); return true;
        case DW_OP_convert: case DW_OP_GNU_convert: case DW_OP_reinterpret: case DW_OP_GNU_reinterpret: push(with_type(pop().bits, op, op.number)); return true;
        default: return false;
        }
    }

    bool shuffle(const Dwarf_Op& op) {
        switch (op.atom) {
        case DW_OP_dup: pick(0); return true;
        case DW_OP_over: pick(1); return true;
        case DW_OP_pick: pick(op.number); return true;
        case DW_OP_drop: pop(); return true;
        case DW_OP_swap: {
            const Value top = pop(), below = pop();
            push(top), push(below);
            return true;
        }
        case DW_OP_rot: {
            const Value a = pop(), b = pop(), c = pop();
            push(a), push(c), push(b);
            return true;
        }
        default: return false;
        }
    }

    void pick(uint64_t depth) {
        if (depth >= stack_.size()) stop(State::unsupported, "a damaged DWARF expression");
        push(stack_[stack_.size() - 1 - depth]);
    }

    bool arithmetic(const Dwarf_Op& op) {
        switch (op.atom) {
        case DW_OP_plus_uconst: unary([&](const Value& v) { return v.bits + op.number; }); return true;
        case DW_OP_neg: unary([](const Value& v) { return -v.bits; }); return true;
        case DW_OP_not: unary([](const Value& v) { return ~v.bits; }); return true;
        case DW_OP_abs: unary([](const Value& v) { return static_cast<int64_t>(v.bits) < 0 && v.is_signed ? -v.bits : v.bits; }); return true;
        case DW_OP_plus: binary([](uint64_t a, uint64_t b, bool) { return a + b; }); return true;
        case DW_OP_minus: binary([](uint64_t a, uint64_t b, bool) { return a - b; }); return true;
        case DW_OP_mul: binary([](uint64_t a, uint64_t b, bool) { return a * b; }); return true;
        case DW_OP_and: binary([](uint64_t a, uint64_t b, bool) { return a & b; }); return true;
        case DW_OP_or: binary([](uint64_t a, uint64_t b, bool) { return a | b; }); return true;
        case DW_OP_xor: binary([](uint64_t a, uint64_t b, bool) { return a ^ b; }); return true;
        case DW_OP_shl: binary([](uint64_t a, uint64_t b, bool) { return b < 64 ? a << b : 0; }); return true;
        case DW_OP_shr: binary([this](uint64_t a, uint64_t b, bool) { return b < 64 ? logical(a) >> b : 0; }); return true;
        case DW_OP_shra: binary([](uint64_t a, uint64_t b, bool) { return static_cast<uint64_t>(static_cast<int64_t>(a) >> (b < 64 ? b : 63)); }); return true;
        case DW_OP_div: binary(divide); return true;
        case DW_OP_mod: binary(remainder); return true;
        case DW_OP_eq: compare([](uint64_t a, uint64_t b, bool) { return a == b; }); return true;
        case DW_OP_ne: compare([](uint64_t a, uint64_t b, bool) { return a != b; }); return true;
        case DW_OP_lt: compare(less); return true;
        case DW_OP_gt: compare([](uint64_t a, uint64_t b, bool s) { return less(b, a, s); }); return true;
        case DW_OP_le: compare([](uint64_t a, uint64_t b, bool s) { return !less(b, a, s); }); return true;
        case DW_OP_ge: compare([](uint64_t a, uint64_t b, bool s) { return !less(a, b, s); }); return true;
        default: return false;
        }
    }

    // The bits of a narrower type without its sign.
    uint64_t logical(uint64_t bits) const { return width_ < 8 ? bits & ((uint64_t{1} << width_ * 8) - 1) : bits; }

    static bool less(uint64_t a, uint64_t b, bool is_signed) { return is_signed ? static_cast<int64_t>(a) < static_cast<int64_t>(b) : a < b; }

    static uint64_t divide(uint64_t a, uint64_t b, bool is_signed) {
        if (b == 0) stop(State::unsupported, "a division by zero in a DWARF expression");
        if (!is_signed) return a / b;
        if (b == ~uint64_t{0}) return -a; // the one signed division that overflows is in here
        return static_cast<uint64_t>(static_cast<int64_t>(a) / static_cast<int64_t>(b));
    }
    static uint64_t remainder(uint64_t a, uint64_t b, bool is_signed) {
        if (b == 0) stop(State::unsupported, "a division by zero in a DWARF expression");
        if (!is_signed || b == ~uint64_t{0}) return is_signed ? 0 : a % b;
        return a % b; // of the generic type it is unsigned: GCC and GDB have it so
    }

    template <typename F> void unary(F f) {
        const Value v = pop();
        push(typed(f(v), v.size, v.is_signed));
    }
    template <typename F> void binary(F f) {
        const Value b = pop(), a = pop();
        width_ = a.size;
        push(typed(f(a.bits, b.bits, a.is_signed), a.size, a.is_signed));
    }
    template <typename F> void compare(F f) {
        const Value b = pop(), a = pop();
        push(f(a.bits, b.bits, a.is_signed) ? 1 : 0);
    }

    uint64_t base_address() const {
        const Location base = context_.frame_base ? context_.frame_base() : Location(NoValue{State::unsupported, "a function without a frame base"});
        if (const auto* at = std::get_if<AtAddress>(&base)) return at->address;
        if (const auto* in = std::get_if<InRegister>(&base)) return in->value;
        if (const auto* computed = std::get_if<Immediate>(&base)) return computed->value;
        if (const auto* none = std::get_if<NoValue>(&base)) throw Stop{*none};
        stop(State::unsupported, "a frame base that is no address");
    }

    void in_register(unsigned number) { register_ = number; }

    // The operand is an expression of its own: a register, as compilers write it.
    void entry_value() {
        Dwarf_Attribute inner;
        Dwarf_Op* operations = nullptr;
        size_t count = 0;
        const Dwarf_Op& op = operations_[at_ - 1];
        if (!context_.attribute || dwarf_getlocation_attr(context_.attribute, &op, &inner) != 0 || dwarf_getlocation(&inner, &operations, &count) != 0 || count != 1)
            unsupported(op);
        unsigned number = 0;
        if (operations[0].atom >= DW_OP_reg0 && operations[0].atom <= DW_OP_reg31) number = operations[0].atom - DW_OP_reg0;
        else if (operations[0].atom == DW_OP_regx) number = static_cast<unsigned>(operations[0].number);
        else unsupported(op);
        const Location found = context_.entry_value ? context_.entry_value(number)
                                                    : Location(NoValue{State::not_recovered, register_name(context_.file.arch(), number) + " at entry"});
        if (const auto* none = std::get_if<NoValue>(&found)) throw Stop{*none};
        if (const auto* computed = std::get_if<Immediate>(&found)) return push(computed->value);
        stop(State::not_recovered, register_name(context_.file.arch(), number) + " at entry");
    }

    void implicit_value(const Dwarf_Op& op) {
        Dwarf_Block block{};
        if (!context_.attribute || dwarf_getlocation_implicit_value(context_.attribute, &op, &block) != 0) unsupported(op);
        const auto* data = reinterpret_cast<const std::byte*>(block.data);
        implicit_.assign(data, data + std::min<uint64_t>(block.length, largest_value));
        has_implicit_ = true;
    }

    // Where the value is, once the operations of it (or of one piece) are done. Resets for the next piece.
    Location result() {
        Location found = NoValue{State::optimized_out, {}};
        if (register_) found = InRegister{*register_, register_value(*register_)};
        else if (has_implicit_) found = Bytes{implicit_};
        else if (immediate_) found = Immediate{pop().bits};
        else if (!stack_.empty()) found = AtAddress{pop().bits};
        register_.reset();
        has_implicit_ = immediate_ = false;
        stack_.clear();
        return found;
    }

    void add_piece(const Dwarf_Op& op) {
        if (op.number > largest_value) stop(State::unsupported, "a piece of impossible size");
        const bool empty = !register_ && !has_implicit_ && stack_.empty();
        std::vector<std::byte> bytes;
        if (empty) missing_ = true;
        else bytes = bytes_of(result(), op.number);
        bytes.resize(op.number);
        if (gathered_.size() + bytes.size() > largest_value) stop(State::unsupported, "a value of impossible size");
        gathered_.insert(gathered_.end(), bytes.begin(), bytes.end());
        pieces_.push_back(!empty);
    }

    std::vector<std::byte> bytes_of(const Location& location, uint64_t size) const {
        std::vector<std::byte> bytes(size);
        if (const auto* at = std::get_if<AtAddress>(&location)) {
            const Fault fault = context_.frame.read ? context_.frame.read(at->address, bytes) : Fault::not_in_dump;
            if (fault != Fault::none) stop(State::unreadable, fmt::format("0x{:x}: {}", at->address, describe(fault)));
            return bytes;
        }
        if (const auto* implicit = std::get_if<Bytes>(&location)) return implicit->bytes;
        const auto* in = std::get_if<InRegister>(&location);
        const auto* computed = std::get_if<Immediate>(&location);
        const uint64_t value = in ? in->value : computed ? computed->value : 0;
        const bool little = context_.file.arch().order == ByteOrder::little;
        for (size_t i = 0; i < bytes.size() && i < 8; ++i) bytes[little ? i : bytes.size() - 1 - i] = static_cast<std::byte>(value >> (8 * i));
        return bytes;
    }

    Location gathered() const {
        const bool none = std::find(pieces_.begin(), pieces_.end(), true) == pieces_.end();
        if (none) return NoValue{State::optimized_out, {}};
        if (missing_ || gathered_.size() < size_) return NoValue{State::optimized_out, "parts of it"};
        return Bytes{gathered_};
    }

    const ExpressionContext& context_;
    std::span<const Dwarf_Op> operations_;
    uint64_t size_;
    unsigned word_;
    size_t at_ = 0;
    std::vector<Value> stack_;
    std::optional<unsigned> register_;
    bool immediate_ = false, has_implicit_ = false, missing_ = false;
    unsigned width_ = 8;
    std::vector<std::byte> implicit_, gathered_;
    std::vector<bool> pieces_;
};

} // namespace

std::string register_name(const Architecture& arch, unsigned number) {
    for (const SavedRegister& known : arch.pt_regs)
        if (known.number == number) return known.name;
    return fmt::format("register {}", number);
}

Location evaluate(const ExpressionContext& context, std::span<const Dwarf_Op> operations, uint64_t size) {
    try {
        return Machine(context, operations, size).run();
    } catch (const Stop& stopped) {
        return stopped.why;
    }
}

} // namespace kcrash
