// SPDX-License-Identifier: GPL-3.0-or-later
// The inside of the BTF reader; others use open_btf() of symbols/types.hpp.
#pragma once
#include "core/bytes.hpp"
#include "core/cursor.hpp"
#include "symbols/types.hpp"
#include <atomic>
#include <deque>
#include <mutex>
#include <unordered_map>

namespace kcrash {

namespace btf {

// include/uapi/linux/btf.h
enum Kind : unsigned {
    kind_int = 1, kind_ptr, kind_array, kind_struct, kind_union, kind_enum, kind_fwd, kind_typedef, kind_volatile, kind_const,
    kind_restrict, kind_func, kind_func_proto, kind_var, kind_datasec, kind_float, kind_decl_tag, kind_type_tag, kind_enum64,
};

struct Record {
    uint32_t name = 0;         // in the strings
    uint32_t kind = 0;
    uint32_t count = 0;        // members, enumerators, parameters
    bool kind_flag = false;
    uint32_t size_or_type = 0; // bytes, or the number of a type
    uint64_t extra = 0;        // where in the type section its kind's own data starts
};

uint32_t name_hash(std::string_view name);

// An open-addressing table of type numbers; names stay in the strings.
class NameIndex {
public:
    void build(const std::vector<uint32_t>& ids, const std::function<uint32_t(uint32_t)>& hash);
    // The first id (in file order) of this hash that matches; 0: none.
    template <typename Match> uint32_t find(uint32_t hash, Match match) const {
        for (size_t at = hash & (slots_.size() - 1); slots_[at]; at = (at + 1) & (slots_.size() - 1))
            if (match(slots_[at])) return slots_[at];
        return 0;
    }

private:
    std::vector<uint32_t> slots_;
};

} // namespace btf

class BtfSource : public TypeSource, private ListSource<TypeMember>, private ListSource<Enumerator> {
public:
    BtfSource(std::span<const std::byte> bytes, const BtfSource* base, std::string name);
    const Type* find(TypeKind kind, std::string_view name) const override;
    const Type* of_variable(std::string_view name) const override;
    const Type* of_function(std::string_view name) const override;
    void each(const std::function<bool(const Type&)>& visit) const override;
    std::optional<int64_t> enumerator(std::string_view name) const override;
    const Type* enumeration_of(std::string_view enumerator) const override;
    std::string_view source() const override { return name_; }
    uint32_t end_id() const { return first_id_ + static_cast<uint32_t>(offsets_.size()); }
    const Type* type(uint32_t id) const; // FileError for a number beyond the last

private:
    using Record = btf::Record;
    void scan();
    void note_word_size(const Record& record);
    Record read_record(uint64_t at) const;
    Record record(uint32_t id) const;
    const std::byte* extra(const Record& record) const;
    uint32_t int_encoding(const Record& record) const { return load<uint32_t>(extra(record), order_); }
    bool has_string(uint32_t at) const;
    std::string_view string(uint32_t at) const;
    const Type* make(uint32_t id, unsigned depth) const;
    void finish(Type& type, const Record& record, const Type* target) const;
    std::optional<uint32_t> target_of(const Record& record) const;
    Type describe(uint32_t id, const Record& record) const;
    void place_member(TypeMember& member, uint32_t offset, bool kind_flag, uint32_t type_id) const;
    Enumerator enumerator_at(const Record& record, uint32_t i) const;
    bool has_negative(const Record& record) const;
    std::vector<TypeMember> load_list(uint64_t id, const TypeMember*) const override;
    std::vector<Enumerator> load_list(uint64_t id, const Enumerator*) const override;
    uint32_t find_id(TypeKind kind, std::string_view name) const;
    const Type* definition_of(std::string_view name, bool is_union, unsigned depth) const;
    using Index = std::unordered_map<std::string_view, uint32_t>;
    uint32_t enum_with(std::string_view enumerator) const; // 0: none
    void index_kind(unsigned kind, Index& index) const;

    std::string name_;
    const BtfSource* base_;
    ByteOrder order_ = ByteOrder::little;
    std::span<const std::byte> types_, strings_;
    uint64_t types_at_ = 0;                 // where types_ starts in the BTF, for messages
    uint32_t first_id_ = 1, first_string_ = 0;
    uint32_t word_size_ = 0;                // bytes of a pointer
    std::vector<uint32_t> offsets_;         // of each record in types_, by id - first_id_
    btf::NameIndex index_;

    bool tells_signs_ = false;              // enums say whether they are signed

    mutable std::mutex mutex_;              // over types_made_, pending_ and the writing of made_
    mutable std::vector<std::pair<uint32_t, const Type*>> pending_; // made, but not all of their targets yet
    mutable std::deque<Type> types_made_;
    mutable std::unique_ptr<std::atomic<const Type*>[]> made_; // by id - first_id_; null: not yet

    mutable std::once_flag variables_once_, functions_once_, enumerators_once_;
    mutable Index variables_, functions_, enumerators_; // enumerators_: the enum that has it
};

} // namespace kcrash
