// SPDX-License-Identifier: GPL-3.0-or-later
// BTF: the kernel's own compact description of its types (Documentation/bpf/btf.rst, include/uapi/linux/btf.h).
//
//   header | type records, numbered from 1 in file order | strings
//
// A record is 12 bytes (name, info, size or type) followed by what its kind adds. References are numbers, so nothing
// can be found without first walking all records once: 150,000 of them in 4 MB, a few milliseconds. That walk checks
// that every record lies inside the section and every name inside the strings, notes where each record starts and
// enters the named structs, unions, enums, typedefs and base types into a hash table. A Type is made when somebody
// asks; its members when somebody looks at them. A task_struct leads to most types of a kernel, most of which nobody
// asks for.
//
// Odd things:
// - A module's BTF continues the numbers and the strings of the kernel's; both need the kernel's counts.
// - A bit-field comes in two forms. With kind_flag the member carries size and place; without, the member's type is an
//   integer narrower than its bytes (kernels before 5.x).
// - FWD names a struct that is defined elsewhere, perhaps in the same BTF: it is resolved by name.
// - Nothing stops a damaged file from a typedef that leads to itself. Numbers are looked up once and kept, so a cycle
//   in the file is a cycle of Types; whoever walks a chain (strip, sizes) bounds the walk.
#include "symbols/btf.hpp"
#include <fmt/format.h>

namespace kcrash {

using namespace btf;

namespace {

constexpr uint16_t magic = 0xeb9f;
constexpr unsigned max_chain = 64; // deeper nesting of arrays, typedefs or qualifiers is damage

// Bytes that follow the 12 of the record; nothing for an unknown kind.
std::optional<uint64_t> extra_bytes(unsigned kind, uint64_t count) {
    switch (kind) {
    case kind_int: case kind_var: case kind_decl_tag: return 4;
    case kind_array: return 12;
    case kind_struct: case kind_union: case kind_datasec: case kind_enum64: return 12 * count;
    case kind_enum: case kind_func_proto: return 8 * count;
    case kind_ptr: case kind_fwd: case kind_typedef: case kind_volatile: case kind_const: case kind_restrict:
    case kind_func: case kind_float: case kind_type_tag: return 0;
    }
    return std::nullopt;
}

bool is_indexed(unsigned kind) {
    switch (kind) {
    case kind_int: case kind_struct: case kind_union: case kind_enum: case kind_enum64: case kind_typedef: case kind_float:
        return true;
    }
    return false;
}

} // namespace

BtfSource::BtfSource(std::span<const std::byte> bytes, const BtfSource* base, std::string name)
    : name_(std::move(name)), base_(base) {
    if (bytes.size() < 24) throw FileError(fmt::format("{}: {} bytes are too few for BTF", name_, bytes.size()));
    order_ = load<uint16_t>(bytes.data(), ByteOrder::little) == magic ? ByteOrder::little : ByteOrder::big;
    Cursor header(bytes, order_, name_);
    if (header.u16() != magic) throw FileError(fmt::format("{}: not BTF, its magic number is wrong", name_));
    if (const auto version = header.u8(); version != 1)
        throw FileError(fmt::format("{}: BTF version {} is unknown", name_, version));
    header.skip(1);
    const uint64_t header_size = header.u32();
    const uint64_t type_offset = header.u32(), type_size = header.u32();
    const uint64_t string_offset = header.u32(), string_size = header.u32();
    header.seek(header_size);
    types_at_ = header_size + type_offset;
    header.seek(types_at_);
    types_ = header.bytes(type_size);
    header.seek(header_size + string_offset);
    strings_ = header.bytes(string_size);
    if (strings_.empty() ? !base_ : strings_.back() != std::byte{0})
        throw FileError(fmt::format("{}: the strings do not end with a NUL", name_));
    if (base_) {
        first_id_ = base_->end_id();
        first_string_ = base_->first_string_ + static_cast<uint32_t>(base_->strings_.size());
    }
    scan();
    made_ = std::make_unique<std::atomic<const Type*>[]>(offsets_.size());
}

// Walks all records once: extents, names, the index of names.
void BtfSource::scan() {
    offsets_.reserve(types_.size() / 24);
    std::vector<uint32_t> named;
    uint64_t at = 0;
    while (at < types_.size()) {
        const auto left = types_.size() - at;
        if (left < 12) throw FileError(fmt::format("{}+0x{:x}: needs 12 bytes, {} left", name_, types_at_ + at, left));
        offsets_.push_back(static_cast<uint32_t>(at));
        const Record record = read_record(at);
        const auto extra = extra_bytes(record.kind, record.count);
        if (!extra) throw FileError(fmt::format("{}+0x{:x}: BTF kind {} is unknown", name_, types_at_ + at, record.kind));
        if (*extra > left - 12)
            throw FileError(fmt::format("{}+0x{:x}: needs {} bytes, {} left", name_, types_at_ + at, *extra + 12, left));
        if (!has_string(record.name))
            throw FileError(fmt::format("{}+0x{:x}: name 0x{:x} is outside of the strings", name_, types_at_ + at, record.name));
        if (record.name && is_indexed(record.kind)) named.push_back(first_id_ + static_cast<uint32_t>(offsets_.size()) - 1);
        if (record.kind == kind_enum64 || (record.kind == kind_enum && record.kind_flag)) tells_signs_ = true;
        if (record.kind == kind_int && word_size_ == 0 && record.size_or_type <= 8) note_word_size(record);
        at += 12 + *extra;
    }
    if (word_size_ == 0) word_size_ = base_ ? base_->word_size_ : 8;
    index_.build(named, [this](uint32_t id) { return name_hash(string(record(id).name)); });
}

// BTF does not say how wide a pointer is; it is as wide as a long.
void BtfSource::note_word_size(const Record& record) {
    const auto name = string(record.name);
    if (name == "long int" || name == "long unsigned int" || name == "unsigned long" || name == "long")
        word_size_ = record.size_or_type;
}

Record BtfSource::read_record(uint64_t at) const {
    const std::byte* p = types_.data() + at;
    const auto info = load<uint32_t>(p + 4, order_);
    return {load<uint32_t>(p, order_), info >> 24 & 0x1f, info & 0xffff, (info >> 31) != 0, load<uint32_t>(p + 8, order_), at + 12};
}

Record BtfSource::record(uint32_t id) const {
    if (id < first_id_) return base_->record(id);
    if (id >= end_id()) throw FileError(fmt::format("{}: type {} is beyond the last, {}", name_, id, end_id() - 1));
    return read_record(offsets_[id - first_id_]);
}

const std::byte* BtfSource::extra(const Record& record) const { return types_.data() + record.extra; }

bool BtfSource::has_string(uint32_t at) const {
    return at < first_string_ ? base_->has_string(at) : at - first_string_ < strings_.size() || (at == 0 && base_ == nullptr);
}

std::string_view BtfSource::string(uint32_t at) const {
    if (at < first_string_) return base_->string(at);
    const uint64_t offset = at - first_string_;
    if (offset >= strings_.size()) throw FileError(fmt::format("{}: name 0x{:x} is outside of the strings", name_, at));
    return reinterpret_cast<const char*>(strings_.data() + offset); // the strings end with a NUL
}

// The type of a number; 0 is void.
const Type* BtfSource::type(uint32_t id) const {
    static const Type void_type{};
    if (id == 0) return &void_type;
    if (id < first_id_) return base_->type(id);
    if (id >= end_id()) throw FileError(fmt::format("{}: type {} is beyond the last, {}", name_, id, end_id() - 1));
    auto& slot = made_[id - first_id_];
    if (const Type* there = slot.load(std::memory_order_acquire)) return there;
    const std::lock_guard lock(mutex_);
    pending_.clear();
    const Type* made = make(id, 0);
    for (const auto& [number, type] : pending_) made_[number - first_id_].store(type, std::memory_order_release);
    return made;
}

// Makes a type and what its `target` chain leads to; others see them only when all are complete. Holds the lock.
const Type* BtfSource::make(uint32_t id, unsigned depth) const {
    if (id == 0 || id < first_id_) return type(id);
    if (id >= end_id()) throw FileError(fmt::format("{}: type {} is beyond the last, {}", name_, id, end_id() - 1));
    if (const Type* there = made_[id - first_id_].load(std::memory_order_acquire)) return there;
    for (const auto& [number, type] : pending_)
        if (number == id) return type;
    if (depth > max_chain) throw FileError(fmt::format("{}: type {} is nested too deeply", name_, id));
    const Record r = record(id);
    const Type* same = nullptr;
    if (r.kind == kind_fwd) same = definition_of(string(r.name), r.kind_flag, depth);
    const auto target = target_of(r);
    if (r.kind == kind_type_tag || r.kind == kind_var || r.kind == kind_func) same = make(*target, depth + 1); // only name it
    if (same) {
        pending_.emplace_back(id, same);
        return same;
    }
    Type& kept = types_made_.emplace_back(describe(id, r));
    pending_.emplace_back(id, &kept); // before its target, which may lead back here
    if (target) finish(kept, r, make(*target, depth + 1));
    return &kept;
}

// What depends on the target: sizes of arrays and of names for other types.
void BtfSource::finish(Type& type, const Record& r, const Type* target) const {
    type.target = target;
    if (r.kind == kind_array) {
        if (target->size && type.count > UINT64_MAX / target->size)
            throw FileError(fmt::format("{}+0x{:x}: an array of {} elements is too large", name_, types_at_ + r.extra, type.count));
        type.size = target->size * type.count;
    } else if (r.kind != kind_ptr && r.kind != kind_func_proto) {
        type.size = target->size;
    }
}

std::optional<uint32_t> BtfSource::target_of(const Record& r) const {
    switch (r.kind) {
    case kind_array: return load<uint32_t>(extra(r), order_);
    case kind_ptr: case kind_typedef: case kind_volatile: case kind_const: case kind_restrict: case kind_func_proto:
    case kind_func: case kind_var: case kind_type_tag: return r.size_or_type;
    }
    return std::nullopt;
}

// A type without its target.
Type BtfSource::describe(uint32_t id, const Record& r) const {
    Type t;
    t.name = string(r.name);
    switch (r.kind) {
    case kind_int: {
        const auto encoding = load<uint32_t>(extra(r), order_);
        t.name = canonical_integer_name(t.name);
        t.kind = encoding >> 24 & 4 ? TypeKind::boolean : TypeKind::integer;
        t.size = r.size_or_type;
        t.is_signed = (encoding >> 24 & 1) != 0;
        t.is_char = t.size == 1 && t.kind == TypeKind::integer;
        break;
    }
    case kind_ptr: t.kind = TypeKind::pointer, t.size = word_size_; break;
    case kind_array:
        t.kind = TypeKind::array, t.count = load<uint32_t>(extra(r) + 8, order_), t.flexible = t.count == 0;
        break;
    case kind_struct: case kind_union:
        t.kind = r.kind == kind_struct ? TypeKind::structure : TypeKind::union_type;
        t.size = r.size_or_type;
        t.members = LazyList<TypeMember>(*this, id);
        break;
    case kind_enum: case kind_enum64:
        t.kind = TypeKind::enumeration, t.size = r.size_or_type, t.is_signed = r.kind_flag || (!tells_signs_ && has_negative(r));
        t.enumerators = LazyList<Enumerator>(*this, id);
        break;
    case kind_fwd: t.kind = TypeKind::declaration, t.declared_union = r.kind_flag; break;
    case kind_typedef: t.kind = TypeKind::typedef_type; break;
    case kind_volatile: t.kind = TypeKind::volatile_type; break;
    case kind_const: t.kind = TypeKind::const_type; break;
    case kind_restrict: t.kind = TypeKind::restrict_type; break;
    case kind_func_proto: {
        t.kind = TypeKind::function, t.size = 1;
        if (r.count) {
            const std::byte* last = extra(r) + 8 * (r.count - 1);
            t.variadic = load<uint32_t>(last, order_) == 0 && load<uint32_t>(last + 4, order_) == 0;
        }
        t.members = LazyList<TypeMember>(*this, id);
        break;
    }
    case kind_float: t.kind = TypeKind::floating, t.size = r.size_or_type; break;
    default: break;
    }
    return t;
}

std::vector<TypeMember> BtfSource::load_list(uint64_t id, const TypeMember*) const {
    const Record r = record(static_cast<uint32_t>(id));
    std::vector<TypeMember> members;
    const bool parameters = r.kind == kind_func_proto;
    members.reserve(r.count);
    for (uint32_t i = 0; i < r.count; ++i) {
        const std::byte* p = extra(r) + i * (parameters ? 8 : 12);
        TypeMember m;
        m.name = string(load<uint32_t>(p, order_));
        const auto of = load<uint32_t>(p + 4, order_);
        if (parameters && of == 0 && m.name.empty() && i + 1 == r.count) break; // "..."
        m.type = type(of);
        if (!parameters) place_member(m, load<uint32_t>(p + 8, order_), r.kind_flag, of);
        members.push_back(m);
    }
    return members;
}

void BtfSource::place_member(TypeMember& m, uint32_t offset, bool kind_flag, uint32_t type_id) const {
    if (kind_flag) {
        m.bit_offset = offset & 0xffffff;
        m.bit_size = offset >> 24;
        return;
    }
    m.bit_offset = offset;
    for (unsigned depth = 0; depth < max_chain; ++depth) {
        const Record r = record(type_id);
        if (r.kind == kind_int) {
            const auto encoding = (type_id < first_id_ ? base_ : this)->int_encoding(r);
            const unsigned bits = encoding & 0xff;
            m.bit_offset += encoding >> 16 & 0xff;
            if (bits < r.size_or_type * 8) m.bit_size = bits;
            return;
        }
        const auto next = r.kind == kind_array ? std::nullopt : target_of(r);
        if (!next || *next == 0 || r.kind == kind_ptr) return;
        type_id = *next;
    }
}

std::vector<Enumerator> BtfSource::load_list(uint64_t id, const Enumerator*) const {
    const Record r = record(static_cast<uint32_t>(id));
    std::vector<Enumerator> list;
    list.reserve(r.count);
    for (uint32_t i = 0; i < r.count; ++i) list.push_back(enumerator_at(r, i));
    return list;
}

Enumerator BtfSource::enumerator_at(const Record& r, uint32_t i) const {
    const std::byte* p = extra(r) + i * (r.kind == kind_enum ? 8 : 12);
    const auto low = load<uint32_t>(p + 4, order_);
    const bool is_signed = r.kind_flag || !tells_signs_;
    int64_t value = is_signed ? static_cast<int32_t>(low) : static_cast<int64_t>(low);
    if (r.kind == kind_enum64) value = static_cast<int64_t>(uint64_t{load<uint32_t>(p + 8, order_)} << 32 | low);
    return {string(load<uint32_t>(p, order_)), value};
}

// Before pahole 1.24 every enumerator was a signed 32-bit number and nothing said whether the enum is signed.
bool BtfSource::has_negative(const Record& r) const {
    for (uint32_t i = 0; r.kind == kind_enum && i < r.count; ++i)
        if (enumerator_at(r, i).value < 0) return true;
    return false;
}

std::unique_ptr<TypeSource> open_btf(std::span<const std::byte> bytes, const TypeSource* base, std::string name) {
    const auto* btf_base = dynamic_cast<const BtfSource*>(base);
    if (base && !btf_base) throw FileError(fmt::format("{}: its base is not BTF", name));
    return std::make_unique<BtfSource>(bytes, btf_base, std::move(name));
}

} // namespace kcrash
