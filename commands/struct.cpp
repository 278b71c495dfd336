// SPDX-License-Identifier: GPL-3.0-or-later
// struct, union, *: definitions of structs, and what stands in memory as one.
#include "commands/memory_rows.hpp"
#include "commands/session.hpp"
#include "commands/type_text.hpp"
#include "commands/user_space.hpp"
#include "commands/value.hpp"
#include "core/error.hpp"
#include <fmt/format.h>

namespace kcrash {

extern const Command struct_command;

namespace {

constexpr uint64_t most_structs = 1000000; // of one command: a mistyped count must not run for hours

class StructCommand {
public:
    StructCommand(Session& session, const Invocation& invocation, std::optional<TypeKind> kind)
        : session_(session), target_(session.target()), report_(session.report()), invocation_(invocation), format_(value_format(session)) {
        if (invocation.has("x") && invocation.has("d")) throw UsageError("-d and -x are mutually exclusive");
        if (invocation.has("x")) format_.radix = 16;
        if (invocation.has("d")) format_.radix = 10;
        style_.offsets = invocation.has("o");
        style_.radix = format_.radix;
        parse_name(kind);
    }

    void run() {
        const auto& words = invocation_.operands;
        if (words.size() < 2) return definition();
        if (words.size() > 3) throw UsageError(fmt::format("too many arguments: {}\n{}", words[3], "an address and a count follow the name"));
        parse_count();
        std::string_view where = words[1];
        const size_t colon = where.find(':');
        if (colon == std::string_view::npos) return instances(plain_address(where));
        const std::string_view cpus = where.substr(colon + 1);
        where = where.substr(0, colon);
        const uint64_t variable = session_.address(where);
        for (const unsigned cpu : session_.cpus(cpus)) {
            const uint64_t address = variable + target_.per_cpu_offset(cpu);
            report_.begin("cpu", "[{cpu}]: {address}", {{"cpu", uint64_t{cpu}}, {"address", AddressValue{address}}});
            instances(address);
            report_.end();
        }
    }

private:
    void parse_name(std::optional<TypeKind> kind) {
        if (invocation_.operands.empty()) throw UsageError(fmt::format("the name of a struct or union is missing\n{}", usage(struct_command)));
        const std::string_view word = invocation_.operands[0];
        const size_t dot = word.find('.');
        name_ = word.substr(0, dot);
        type_ = find_type(name_);
        if (!type_) throw UsageError(fmt::format("invalid data structure reference: {}", word));
        const TypeKind found = strip(type_)->kind;
        if (kind && found != *kind)
            throw UsageError(fmt::format("data type mismatch: {} is not a {}; {}", name_, *kind == TypeKind::structure ? "struct" : "union",
                                         found == TypeKind::structure || found == TypeKind::union_type ? "try \"*\"" : "try \"whatis\""));
        keyword_ = found == TypeKind::union_type ? "union" : "struct";
        if (dot == std::string_view::npos) return;
        std::string_view rest = word.substr(dot + 1);
        while (!rest.empty()) {
            const std::string_view member = rest.substr(0, rest.find(','));
            rest.remove_prefix(std::min(rest.size(), member.size() + 1));
            if (!find_member(type_, member))
                throw UsageError(fmt::format("invalid data structure member reference: {}.{}", name_, member));
            members_.emplace_back(member);
        }
        if (members_.empty()) throw UsageError(fmt::format("invalid data structure reference: {}", word));
    }

    const Type* find_type(std::string_view name) const {
        const Types& types = target_.types();
        for (const TypeKind kind : {TypeKind::structure, TypeKind::union_type})
            if (const Type* found = types.find(kind, name)) return found;
        const Type* found = types.find(TypeKind::typedef_type, name);
        if (found && is_compound(found)) return found;
        return types.find(TypeKind::enumeration, name);
    }

    void parse_count() {
        std::optional<std::string> word = invocation_.value("c");
        if (!word && invocation_.operands.size() > 2) word = invocation_.operands[2];
        const auto count = word ? static_cast<int64_t>(session_.number(*word)) : 1;
        leading_ = count < 0;
        count_ = static_cast<uint64_t>(leading_ ? -count : count);
        if (count_ == 0 || count_ > most_structs) throw UsageError(fmt::format("invalid count: {}", *word));
    }

    uint64_t plain_address(std::string_view word) const {
        if (invocation_.has("f")) return session_.number(word);
        const uint64_t address = session_.address(word);
        if (!invocation_.has("u") && target_.is_per_cpu_symbol(address) && target_.symbol_address(word))
            throw UsageError(fmt::format("{} is per-cpu: say which with {}:a, {}:0, {}:0-3", word, word, word, word));
        return address;
    }

    uint64_t container_offset() const {
        const auto word = invocation_.value("l");
        if (!word) return 0;
        const size_t dot = word->find('.');
        if (dot != std::string::npos) {
            const Type* outer = target_.types().parse(word->substr(0, dot));
            const auto member = outer ? find_member(outer, std::string_view(*word).substr(dot + 1)) : std::nullopt;
            if (member) return member->bit_offset / 8;
        } else if (const auto member = find_member(type_, *word)) {
            return member->bit_offset / 8;
        } else if (word->find_first_not_of("0123456789abcdefABCDEFxX-") == std::string::npos) {
            return session_.number(*word);
        }
        throw UsageError(fmt::format("invalid -l option: {}: a number of bytes or struct.member", *word));
    }

    void definition() {
        if (members_.empty()) return print_definition(report_, *type_, style_);
        for (const std::string& member : members_) print_member_definition(report_, *type_, member, style_);
    }

    // ---- values

    void instances(uint64_t address) {
        if (invocation_.has("u")) user_ = user_space_of(target_, session_.current());
        if (invocation_.has("f")) file_ = open_file(target_.dump().info().files.at(0));
        const uint64_t size = type_->size;
        address -= container_offset();
        if (leading_) address -= (count_ - 1) * size;
        for (uint64_t i = 0; i < count_; ++i) {
            if (i > 0) report_.text("", true);
            instance(address + i * size);
        }
    }

    void instance(uint64_t address) {
        report_.begin("struct", "", {{"type", fmt::format("{} {}", keyword_, name_)}, {"address", AddressValue{address}}});
        if (style_.offsets) with_addresses(address);
        else if (invocation_.has("r")) raw(address);
        else if (members_.empty()) whole(object_at(address));
        else {
            const Object object = object_at(address);
            for (const std::string& path : members_) member(object, path);
        }
        report_.end();
    }

    Object object_at(uint64_t address) const {
        if (file_) return Object::of_value(target_, type_, file_->read(FileOffset{address}, type_->size));
        const Object object(target_, type_, address, user_.get());
        check_readable(object);
        return object;
    }

    // When not one page of it can be read, one message says it all.
    void check_readable(const Object& object) const {
        if (type_->size == 0) return;
        const AddressSpace& space = object.space();
        Fault first = Fault::none;
        for (uint64_t at = 0; at < type_->size; at += 4096 - (object.address() + at) % 4096) {
            std::byte byte;
            const Fault fault = space.try_read(VirtualAddress{object.address() + at}, std::span(&byte, 1));
            if (fault == Fault::none) return;
            if (first == Fault::none) first = fault;
        }
        throw MemoryError(first, object.address(), space.name(), fmt::format("{} {}", keyword_, name_));
    }

    void with_addresses(uint64_t address) {
        style_.address = address;
        definition();
    }

    void raw(uint64_t address) {
        if (members_.size() > 1) throw UsageError("only one structure member allowed with -r");
        uint64_t size = type_->size;
        if (!members_.empty()) {
            const auto found = find_member(type_, members_[0]);
            address += found->bit_offset / 8;
            size = found->type->size;
        }
        MemoryRows rows;
        rows.unit = size % 8 == 0 ? 8 : size % 4 == 0 ? 4 : size % 2 == 0 ? 2 : 1;
        rows.order = target_.arch().order;
        rows.read = [this](uint64_t at, std::span<std::byte> into) {
            if (file_) return file_->try_read(FileOffset{at}, into);
            return (user_ ? *user_ : target_.kernel()).try_read(VirtualAddress{at}, into);
        };
        const Fault fault = print_memory(report_, rows, address, size / rows.unit);
        if (fault != Fault::none) throw MemoryError(fault, address, user_ ? "user virtual" : "kernel virtual", name_);
    }

    void whole(const Object& object) {
        if (!invocation_.has("p")) return report_.value(value_tree(object, format_), fmt::format("{} {} ", keyword_, name_));
        report_.text(fmt::format("{} {} {{", keyword_, name_), true);
        for (const TypeMember& m : strip(type_)->members) {
            if (m.name.empty()) report_.value(value_tree(anonymous(object, m), format_), "  ", ",", 2);
            else member(object, std::string(m.name));
        }
        report_.text("}", true);
    }

    Object anonymous(const Object& object, const TypeMember& m) const {
        if (object.has_address()) return Object(target_, m.type, object.address() + m.offset(), user_.get());
        const auto bytes = object.bytes();
        const auto first = bytes.begin() + static_cast<ptrdiff_t>(m.offset());
        return Object::of_value(target_, m.type, {first, first + static_cast<ptrdiff_t>(m.type->size)});
    }

    void member(const Object& object, const std::string& path) {
        const Object value = object[path];
        if (invocation_.has("p") && strip(value.type())->kind == TypeKind::pointer) return pointed_to(value, path);
        ValueTree tree = value_tree(value, format_);
        tree.name = path;
        report_.value(tree, fmt::format("  {} = ", path), ",", 2);
    }

    // -p: the pointer, and what stands where it leads.
    void pointed_to(const Object& pointer, const std::string& path) {
        const auto to = pointer.try_u64();
        ValueTree leaf = value_tree(pointer, format_);
        leaf.name = path;
        if (to) leaf.text = fmt::format("{:#x}", *to);
        report_.value(leaf, fmt::format("  {} = ", declare(pointer.type(), path)));
        if (!to) return;
        if (*to == 0) return report_.text("  -> NULL", true);
        const auto match = target_.symbols().containing(*to);
        const std::string symbol = match && match->offset == 0 ? std::string(match->symbol.name) : std::string();
        const std::string arrow = symbol.empty() ? "  -> " : fmt::format("  -> <{}> ", symbol);
        const Type* type = strip(pointer.type())->target;
        const TypeKind kind = type ? strip(type)->kind : TypeKind::void_type;
        std::byte byte;
        if (pointer.space().try_read(VirtualAddress{*to}, std::span(&byte, 1)) != Fault::none) return report_.text("  -> (not accessible)", true);
        if (kind == TypeKind::void_type || kind == TypeKind::function || kind == TypeKind::declaration)
            return symbol.empty() ? void() : report_.text(fmt::format("  -> <{}>", symbol), true);
        ValueTree tree = value_tree(pointer.dereference(), format_);
        if (strip(type)->is_char) {
            tree = value_tree(pointer, format_);
            const size_t quote = tree.text.find('"');
            tree.text = quote == std::string::npos ? tree.text : tree.text.substr(quote);
        }
        tree.name = "*" + path;
        report_.value(tree, arrow, "", 5);
    }

    Session& session_;
    Target& target_;
    Report& report_;
    const Invocation& invocation_;
    ValueFormat format_;
    DefinitionStyle style_;
    std::string name_, keyword_;
    const Type* type_ = nullptr;
    std::vector<std::string> members_;
    uint64_t count_ = 1;
    bool leading_ = false; // the structs that lead up to the address
    std::unique_ptr<AddressSpace> user_;
    std::shared_ptr<const ByteSource> file_;
};

void run_struct(Session& session, const Invocation& invocation) { StructCommand(session, invocation, TypeKind::structure).run(); }
void run_union(Session& session, const Invocation& invocation) { StructCommand(session, invocation, TypeKind::union_type).run(); }
void run_star(Session& session, const Invocation& invocation) { StructCommand(session, invocation, std::nullopt).run(); }

constexpr Option options[] = {
    {"o", "", ArgumentKind::none, "offsets of the members; with an address, their addresses"},
    {"l", "offset", ArgumentKind::member, "the address is of a member at this offset (bytes, or struct.member)"},
    {"r", "", ArgumentKind::none, "the bytes, as rd shows them"},
    {"f", "", ArgumentKind::none, "the address is an offset in the dump file"},
    {"u", "", ArgumentKind::none, "the address is a user virtual address of the current task"},
    {"x", "", ArgumentKind::none, "numbers in hexadecimal"},
    {"d", "", ArgumentKind::none, "numbers in decimal"},
    {"p", "", ArgumentKind::none, "show also what pointer members point to"},
    {"c", "count", ArgumentKind::count, "so many structs in a row; negative: those that lead up to the address"},
};

constexpr std::string_view synopsis = "name[.member[,member]] [-o] [-l offset] [-rfuxdp] [address | symbol][:cpus] [count | -c count]";

} // namespace

const Command struct_command = {
    .name = "struct",
    .summary = "definition of a struct, or the contents of one",
    .synopsis = synopsis,
    .options = options,
    .operands = ArgumentKind::type,
    .needs = needs_target | needs_types,
    .help = R"help(Without an address: the definition of the struct and its size. With one: what stands there. Members are given
behind a dot, several with commas; a member may be a path into embedded structs and arrays (se.avg.load_avg,
cpus_mask.bits[0]). The verb may be left out: "task_struct.pid ffff888004a31000" does the same.

  :cpus    for a per-cpu symbol or offset: ":" is the current task's CPU, ":a" all, ":0,2-3" those.
  count    that many structs one behind the other; "-c -3" shows the three that lead up to the address.

Examples:
  The definition, with offsets:
    struct -o list_head
  Some members of the first task:
    struct task_struct.pid,comm,tasks init_task
  The task_struct around one of its list nodes:
    struct task_struct.pid -l task_struct.tasks ffffffff81e1b2d0
  The run queue of each CPU:
    struct rq.nr_running,curr runqueues:a
  What the pointers of a struct lead to:
    struct list_head -p ffffffff81e1b2d0
)help",
    .run = run_struct,
};

extern const Command union_command;
const Command union_command = {
    .name = "union",
    .summary = "definition of a union, or the contents of one",
    .synopsis = synopsis,
    .options = options,
    .operands = ArgumentKind::type,
    .needs = needs_target | needs_types,
    .help = R"help(As "struct", for unions: see "help struct".

Examples:
  The definition of a union:
    union sigval
  A union in memory, in hexadecimal:
    union sigval -x ffff888004a31000
)help",
    .run = run_union,
};

extern const Command star_command;
const Command star_command = {
    .name = "*",
    .summary = "struct or union, whichever the name is",
    .synopsis = synopsis,
    .options = options,
    .operands = ArgumentKind::type,
    .needs = needs_target | needs_types,
    .help = R"help(As "struct" and "union", for a name of which one need not know what it is: see "help struct".

Examples:
    * list_head
    * task_struct.pid init_task
)help",
    .run = run_star,
};

} // namespace kcrash
