// SPDX-License-Identifier: GPL-3.0-or-later
// The resident set is counted in parts, and where the parts are changed twice:
//
//   v2.6.34 to v6.1   mm.rss_stat.count[] plus what each thread holds back in task_struct.rss_stat.count[] (up to 64 pages)
//   since v6.2        mm.rss_stat[]: percpu_counters (f1a7941243c1, "mm: convert mm's rss stats into percpu_counter")
#include "kernel/mm.hpp"
#include "core/error.hpp"
#include "kernel/percpu.hpp"
#include <algorithm>

namespace kcrash {

std::optional<int64_t> MemoryUse::resident() const {
    if (!file || !anonymous) return std::nullopt;
    return std::max<int64_t>(0, *file + *anonymous + shared.value_or(0));
}

MemoryReader::MemoryReader(const Target& target, const Tasks& tasks) : target_(target) {
    total_ = target.try_member("mm_struct", {"total_vm"});
    const auto index = [&](const char* name) { return target.types().enumerator(name); };
    file_ = index("MM_FILEPAGES");
    anonymous_ = index("MM_ANONPAGES");
    swapped_ = index("MM_SWAPENTS");
    shared_ = index("MM_SHMEMPAGES"); // eca56ff906bd ("mm, shmem: add internal shmem resident memory accounting"), v4.5
    if ((stat_ = target.try_member("mm_struct", {"rss_stat.count"}))) {
        stride_ = target.arch().word_size;
    } else if ((stat_ = target.try_member("mm_struct", {"rss_stat"}))) {
        per_cpu_ = true;
        stride_ = target.size_of("struct percpu_counter");
    }
    const auto held = target.try_member("task_struct", {"rss_stat.count"});
    if (!held || per_cpu_) return;
    for (const Task& task : tasks.all()) {
        if (task.mm.value_or(0) == 0) continue;
        std::vector<std::byte> bytes(std::min<uint32_t>(held->size, 64));
        if (target.kernel().try_read(VirtualAddress(task.address + held->offset), bytes) != Fault::none) continue;
        std::vector<int64_t>& sums = held_[*task.mm];
        sums.resize(bytes.size() / 4);
        for (size_t i = 0; i < sums.size(); ++i) sums[i] += load<int32_t>(bytes.data() + 4 * i, target.kernel().order());
    }
}

std::optional<int64_t> MemoryReader::counter(uint64_t mm, unsigned index) const {
    const uint64_t at = mm + stat_->offset + index * stride_;
    if (per_cpu_) return percpu_counter_sum(target_, at);
    uint64_t value = 0;
    const Member one{.offset = 0, .size = static_cast<uint32_t>(stride_)};
    if (one.load(target_.kernel(), at, value) != Fault::none) return std::nullopt;
    int64_t count = sign_extend(value, static_cast<unsigned>(stride_) * 8);
    if (const auto held = held_.find(mm); held != held_.end() && index < held->second.size()) count += held->second[index];
    return count;
}

MemoryUse MemoryReader::read(uint64_t mm) const {
    MemoryUse use;
    if (mm == 0) return {.total = 0, .file = 0, .anonymous = 0, .swapped = 0, .shared = 0};
    uint64_t value = 0;
    if (total_ && total_->load(target_.kernel(), mm, value) == Fault::none) use.total = value;
    if (!stat_) return use;
    const auto part = [&](const std::optional<int64_t>& index) -> std::optional<int64_t> {
        return index && *index >= 0 && *index < 16 ? counter(mm, static_cast<unsigned>(*index)) : std::nullopt;
    };
    use.file = part(file_);
    use.anonymous = part(anonymous_);
    use.swapped = part(swapped_);
    use.shared = part(shared_);
    return use;
}

std::unique_ptr<AddressSpace> process_space(const Target& target, uint64_t mm) {
    const uint64_t pgd = target.object("struct mm_struct", mm)["pgd"].u64();
    return target.user_space(target.kernel().translate(VirtualAddress(pgd)));
}

static std::vector<std::string> strings_between(const AddressSpace& space, uint64_t begin, uint64_t end) {
    constexpr uint64_t most = uint64_t{2} << 20; // MAX_ARG_STRLEN times some: what a stack's strings can be
    std::vector<std::string> strings;
    if (end <= begin || end - begin > most) return strings;
    std::vector<std::byte> bytes(end - begin);
    space.read(VirtualAddress(begin), bytes, "arguments and environment");
    const std::string_view text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
    for (size_t at = 0; at < text.size();) {
        const size_t stop = std::min(text.find('\0', at), text.size());
        strings.emplace_back(text.substr(at, stop - at));
        at = stop + 1;
    }
    return strings;
}

ProcessStrings read_process_strings(const Target& target, uint64_t mm) {
    const Object object = target.object("struct mm_struct", mm);
    const auto space = process_space(target, mm);
    ProcessStrings strings;
    strings.arguments = strings_between(*space, object["arg_start"].u64(), object["arg_end"].u64());
    strings.environment = strings_between(*space, object["env_start"].u64(), object["env_end"].u64());
    return strings;
}

} // namespace kcrash
