// SPDX-License-Identifier: GPL-3.0-or-later
// p: the value of a C expression, of a variable, of a per-cpu variable. What needs full C is GDB's.
#include "commands/c_expression.hpp"
#include "commands/gdb_bridge.hpp"
#include "commands/session.hpp"
#include "commands/type_text.hpp"
#include "commands/user_space.hpp"
#include "commands/value.hpp"
#include "core/error.hpp"
#include <cctype>
#include <charconv>
#include <fmt/format.h>

namespace kcrash {

extern const Command p_command;

namespace {

// "$" the last value, "$$" the one before, "$3" by number, "$$2" counted back from the last.
Object from_history(const Session& session, std::string_view dollar) {
    const bool back = dollar.starts_with("$$");
    const std::string_view digits = dollar.substr(back ? 2 : 1);
    uint64_t number = back && digits.empty() ? 1 : 0;
    if (!digits.empty()) {
        const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), number);
        if (error != std::errc() || end != digits.data() + digits.size()) throw LookupError(fmt::format("there is no value {}", dollar));
    }
    const uint64_t count = session.values.size();
    const bool by_number = !back && !digits.empty();
    const uint64_t index = by_number ? number - 1 : count - 1 - number;
    if (count == 0 || index >= count || (by_number && number == 0))
        throw LookupError(count == 0 ? "the history of values is empty" : fmt::format("there is no value {}: the history has $1 to ${}", dollar, count));
    if (session.values[index].in_gdb) throw UsageError(fmt::format("{} is a value of GDB's", dollar));
    return session.values[index].object;
}

bool is_name(std::string_view text) {
    if (text.empty() || std::isdigit(static_cast<unsigned char>(text[0]))) return false;
    for (const char c : text)
        if (!std::isalnum(static_cast<unsigned char>(c)) && c != '_') return false;
    return true;
}

class Print {
public:
    Print(Session& session, const Invocation& invocation)
        : session_(session), target_(session.target()), report_(session.report()), format_(value_format(session)) {
        if (invocation.has("x") && invocation.has("d")) throw UsageError("-d and -x are mutually exclusive");
        if (invocation.has("x")) format_.radix = 16;
        if (invocation.has("d")) format_.radix = 10;
        if (invocation.has("u")) user_ = user_space_of(target_, session.current());
        text_ = invocation.raw;
        const size_t first = text_.find_first_not_of(" \t");
        if (first == std::string::npos) throw UsageError(fmt::format("an expression is missing\n{}", usage(p_command)));
        text_ = text_.substr(first, text_.find_last_not_of(" \t") + 1 - first);
        take_gdb_format();
    }

    void run() {
        const size_t colon = text_.rfind(':');
        std::string name = text_.substr(0, colon);
        if (name.starts_with("per_cpu__")) name.erase(0, 9);
        const auto address = is_name(name) ? target_.symbol_address(name) : std::nullopt;
        const bool per_cpu = address && target_.is_per_cpu_symbol(*address);
        if (colon != std::string::npos && address) {
            if (per_cpu) return of_cpus(name, std::string_view(text_).substr(colon + 1));
            report_.note(Severity::warning, fmt::format("{} is not per-cpu; \"{}\" is ignored", name, text_.substr(colon)));
            text_ = name;
        } else if (per_cpu) {
            return per_cpu_addresses(name);
        }
        if (!gdb_format_.empty()) return of_gdb(address ? text_ + " = " : "");
        const ExpressionContext context{&target_, user_.get(), [this](std::string_view dollar) { return from_history(session_, dollar); }};
        std::optional<Object> value;
        std::exception_ptr refused;
        bool unknown_name = false;
        try {
            value = evaluate_c(text_, context);
        } catch (const UsageError&) { // full C: $functions, assignments, floating point, values that only GDB has
            refused = std::current_exception();
        } catch (const LookupError&) {
            refused = std::current_exception();
            unknown_name = true;
        }
        if (value) return say(*value, address ? text_ + " = " : "");
        // A name alone does not wake GDB, which knows no more of them; but it may know a local variable of the frame that it has selected.
        if (!target_.elf() || (is_name(text_) && !session_.gdb().awake())) std::rethrow_exception(refused);
        try {
            of_gdb("");
        } catch (const UsageError&) { // it would call a function: ours says more
            std::rethrow_exception(refused);
        } catch (const Error&) {
            if (unknown_name) std::rethrow_exception(refused);
            throw;
        }
    }

private:
    // "p/x" is gdb's way to say -x. The other letters need GDB.
    void take_gdb_format() {
        if (!text_.starts_with('/') || text_.size() < 2) return;
        const std::string letters = text_.substr(0, text_.find_first_of(" \t"));
        text_.erase(0, std::min(text_.find_first_not_of(" \t", letters.size()), text_.size()));
        if (text_.empty()) throw UsageError(fmt::format("an expression is missing\n{}", usage(p_command)));
        if (letters == "/x" || letters == "/d" || letters == "/u") format_.radix = letters == "/x" ? 16 : 10;
        else gdb_format_ = letters;
    }

    // The value is GDB's and the history's; its text stands for it.
    void of_gdb(const std::string& lead) {
        const std::string format = !gdb_format_.empty() ? gdb_format_ : format_.radix == 16 && session_.settings.radix != 16 ? "/x" : "";
        const std::string text = session_.gdb().output_of(fmt::format("print -- {} {}", format, text_));
        const size_t equals = text.find(" = ");
        if (!text.starts_with('$') || equals == std::string::npos) return report_.text(text); // void, or a warning before it
        ValueTree tree;
        tree.name = text.substr(0, equals);
        tree.text = text.substr(equals + 3);
        report_.value(tree, fmt::format("{}{} = ", lead, tree.name));
    }

    // Keeps the value as the next $N and prints it behind `lead`.
    void say(const Object& object, const std::string& lead) {
        ValueTree tree = value_tree(object, format_);
        if (const auto* missing = std::get_if<Missing>(&tree.value); missing && object.has_address())
            (void)object.bytes(); // throws the whole message: where, and why
        session_.values.push_back({object});
        const std::string number = fmt::format("${}", session_.values.size());
        tree.name = number;
        // crash breaks the line before what is no plain value and no struct: functions, arrays.
        const bool broken = !lead.empty() && (tree.is_array || strip(object.type())->kind == TypeKind::function);
        const std::string prefix = fmt::format("{}{} = {}{}", lead, number, broken && !session_.settings.print_array ? "\n " : "", value_prefix(object));
        report_.value(tree, prefix);
    }

    Object variable(const std::string& name) const {
        const auto found = target_.try_variable(name);
        if (found) return *found;
        throw LookupError(fmt::format("the type of \"{}\" is not known; its addresses: {}:a with \"struct\"", name, name));
    }

    void of_cpus(const std::string& name, std::string_view cpus) {
        const Object object = variable(name);
        for (const unsigned cpu : session_.cpus(cpus)) say(target_.per_cpu(object, cpu), fmt::format("per_cpu({}, {}) = ", name, cpu));
    }

    void per_cpu_addresses(const std::string& name) {
        const uint64_t address = *target_.symbol_address(name);
        const auto object = target_.try_variable(name);
        const std::string type = object ? declare(object->type(), name) : fmt::format("(unknown type) {}", name);
        report_.begin("per-cpu", literal(fmt::format("PER-CPU DATA TYPE:\n  {};\nPER-CPU ADDRESSES:", type)),
                      {{"name", name}, {"type", object ? CellValue(type_name(object->type())) : CellValue(Nothing{})}});
        for (const unsigned cpu : target_.possible_cpus())
            report_.record("cpu", "  [{cpu}]: {address}", {{"cpu", uint64_t{cpu}}, {"address", AddressValue{address + target_.per_cpu_offset(cpu)}}});
        report_.end();
    }

    Session& session_;
    Target& target_;
    Report& report_;
    ValueFormat format_;
    std::string text_;
    std::string gdb_format_; // "/t": what only GDB prints
    std::unique_ptr<AddressSpace> user_;
};

void run(Session& session, const Invocation& invocation) { Print(session, invocation).run(); }

constexpr Option options[] = {
    {"x", "", ArgumentKind::none, "numbers in hexadecimal"},
    {"d", "", ArgumentKind::none, "numbers in decimal"},
    {"u", "", ArgumentKind::none, "written addresses are user virtual addresses of the current task"},
};

} // namespace

const Command p_command = {
    .name = "p",
    .summary = "value of an expression, or of a variable",
    .synopsis = "[-x | -d] [-u] expression | symbol[:cpus]",
    .options = options,
    .operands = ArgumentKind::symbol_or_address,
    .needs = needs_target | needs_types,
    .help = R"help(Expressions are C's: variables, members (. and ->), casts, & and *, [n], sizeof, arithmetic and comparisons, and
gdb's array @ count. Every value is kept as $1, $2, ...; "$" is the last one, "$$" the one before it.

A per-cpu variable is shown with its address on each CPU; ":cpus" behind its name (":a", ":0,2-3", ":" for the
current task's CPU) shows its values.

Examples:
  A variable, and one in hexadecimal:
    p jiffies
    p -x init_task.flags
  Through pointers and casts:
    p ((struct task_struct *)0xffff888004a31000)->comm
    p *init_task.tasks.next
  Four elements of an array; the fifth value of the history:
    p softirq_vec[0]@4
    p $5.nr
  The run queue of CPU 1:
    p runqueues:1
)help",
    .run = run,
    .raw_arguments = true,
};

} // namespace kcrash
