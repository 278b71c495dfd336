// SPDX-License-Identifier: GPL-3.0-or-later
// Opening an ELF file. Only the headers are read at once, with pread; sections are mapped when someone asks for their bytes.
//
// The file may be anything: each offset, size and count is checked against the file before it is used.
#include "symbols/elf_file.hpp"
#include "core/cursor.hpp"
#include "core/file.hpp"
#include "symbols/unpack.hpp"
#include <algorithm>
#include <elf.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <map>
#include <mutex>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

namespace kcrash {
namespace {

constexpr uint64_t most_sections = 1 << 20; // a kernel built with -ffunction-sections stays below

// The file under a descriptor, mapped whole on first use. Debug files do not change under us as dumps may.
class Mapping {
public:
    ~Mapping() {
        if (base_) ::munmap(base_, size_);
    }
    std::span<const std::byte> get(int fd, uint64_t size, const std::string& path) {
        std::call_once(once_, [&] {
            void* base = ::mmap(nullptr, size, PROT_READ, MAP_PRIVATE, fd, 0);
            if (base == MAP_FAILED) throw FileError(fmt::format("{}: cannot be mapped", path));
            base_ = base;
            size_ = size;
        });
        return {static_cast<const std::byte*>(base_), size_};
    }

private:
    std::once_flag once_;
    void* base_ = nullptr;
    uint64_t size_ = 0;
};

class OpenElf final : public ElfFile {
public:
    OpenElf(const std::string& path, const ProgressMaker& progress) : path_(path), source_(open_file(path)) {
        std::byte head[8]{};
        const auto n = static_cast<size_t>(std::min<uint64_t>(source_->size(), sizeof head));
        source_->read(FileOffset(0), std::span(head).first(n));
        const Packing packing = packing_of(std::span(head).first(n));
        if (packing != Packing::none) {
            unpacked_ = unpack(*source_, packing, progress);
            source_ = open_file(unpacked_.path);
        }
        readable_path_ = packing == Packing::none ? path : unpacked_.path;
        read_header();
        read_sections();
    }

    const std::string& path() const override { return path_; }
    const std::string& readable_path() const override { return readable_path_; }
    uint16_t machine() const override { return machine_; }
    ByteOrder order() const override { return order_; }
    unsigned word_size() const override { return word_size_; }
    bool relocatable() const override { return type_ == ET_REL; }
    const std::vector<ElfSection>& sections() const override { return sections_; }

    const ElfSection* section(std::string_view name) const override {
        for (const ElfSection& section : sections_)
            if (section.name == name) return &section;
        return nullptr;
    }

    std::span<const std::byte> data(const ElfSection& section) const override {
        if (section.type == SHT_NOBITS || section.size == 0) return {};
        const auto whole = mapping_.get(descriptor(), source_->size(), path_);
        const auto bytes = whole.subspan(section.offset, section.size); // checked in read_sections()
        return section.flags & SHF_COMPRESSED ? uncompressed(section, bytes) : bytes;
    }

    std::vector<std::byte> build_id() const override {
        for (const ElfSection& section : sections_) {
            if (section.type != SHT_NOTE || section.size > 65536) continue;
            auto id = find_build_id(source_->read(FileOffset(section.offset), section.size));
            if (!id.empty()) return id;
        }
        return {};
    }

    std::optional<std::string> debug_link() const override {
        const ElfSection* link = section(".gnu_debuglink");
        if (!link || link->type == SHT_NOBITS || link->size > 65536) return std::nullopt;
        const auto bytes = source_->read(FileOffset(link->offset), link->size);
        try {
            std::string name(Cursor(bytes, order_, ".gnu_debuglink").string());
            if (name.empty() || name.find('/') != std::string::npos) return std::nullopt; // a file name, not a way out of the folder
            return name;
        } catch (const FileError&) {
            return std::nullopt;
        }
    }

    bool has_dwarf() const override {
        for (const char* name : {".debug_info", ".zdebug_info"}) {
            const ElfSection* info = section(name);
            if (info && info->type != SHT_NOBITS && info->size) return true;
        }
        return false;
    }

private:
    [[noreturn]] void damaged(std::string_view why) const { throw FileError(fmt::format("{}: {}", path_, why)); }

    // Of the plain bytes: the unpacked file's, or the file's own, opened again for the mapping.
    int descriptor() const {
        if (unpacked_.fd >= 0) return unpacked_.fd;
        std::call_once(opened_, [&] {
            own_.fd = ::open(path_.c_str(), O_RDONLY | O_CLOEXEC);
            struct stat st {};
            if (own_.fd < 0 || ::fstat(own_.fd, &st) != 0 || static_cast<uint64_t>(st.st_size) < source_->size())
                damaged("the file has changed while it was read");
        });
        return own_.fd;
    }

    void read_header() {
        if (source_->size() < EI_NIDENT) damaged("not an ELF file: too short");
        const auto ident = source_->read(FileOffset(0), EI_NIDENT);
        const auto byte = [&](size_t i) { return static_cast<unsigned char>(ident[i]); };
        if (std::memcmp(ident.data(), ELFMAG, SELFMAG) != 0) damaged("not an ELF file");
        if (byte(EI_CLASS) != ELFCLASS32 && byte(EI_CLASS) != ELFCLASS64) damaged("neither a 32-bit nor a 64-bit ELF file");
        if (byte(EI_DATA) != ELFDATA2LSB && byte(EI_DATA) != ELFDATA2MSB) damaged("an ELF file of unknown byte order");
        word_size_ = byte(EI_CLASS) == ELFCLASS64 ? 8 : 4;
        order_ = byte(EI_DATA) == ELFDATA2LSB ? ByteOrder::little : ByteOrder::big;
        const auto bytes = source_->read(FileOffset(0), word_size_ == 8 ? sizeof(Elf64_Ehdr) : sizeof(Elf32_Ehdr));
        Cursor at(bytes, order_, path_);
        at.skip(EI_NIDENT);
        type_ = at.u16();
        machine_ = at.u16();
        at.u32();                // e_version
        at.skip(word_size_ * 2); // e_entry, e_phoff
        section_offset_ = at.word(word_size_);
        at.u32(); // e_flags
        at.skip(6); // e_ehsize, e_phentsize, e_phnum
        section_entry_ = at.u16();
        section_count_ = at.u16();
        names_index_ = at.u16();
        if (type_ == ET_CORE) damaged("a core file, where a kernel or a module is needed");
    }

    // A section header as it stands in the file.
    struct Raw { uint32_t name, type, link; uint64_t flags, address, offset, size; };
    Raw read_raw(Cursor& at) const {
        Raw raw{};
        raw.name = at.u32();
        raw.type = at.u32();
        raw.flags = at.word(word_size_);
        raw.address = at.word(word_size_);
        raw.offset = at.word(word_size_);
        raw.size = at.word(word_size_);
        raw.link = at.u32();
        at.skip(4 + 2 * word_size_); // sh_info, sh_addralign, sh_entsize
        return raw;
    }

    void read_sections() {
        if (section_offset_ == 0) damaged("an ELF file without sections: its symbols were cut off");
        const uint64_t entry = word_size_ == 8 ? sizeof(Elf64_Shdr) : sizeof(Elf32_Shdr);
        if (section_entry_ != entry) damaged(fmt::format("section headers of {} bytes, {} expected", section_entry_, entry));
        uint64_t count = section_count_, names = names_index_;
        if (count == 0 || names == SHN_XINDEX) { // more than 65,279 sections: the true numbers are in the first header
            const auto bytes = source_->read(FileOffset(section_offset_), entry);
            Cursor at(bytes, order_, path_, section_offset_);
            const Raw first = read_raw(at);
            if (count == 0) count = first.size;
            if (names == SHN_XINDEX) names = first.link;
        }
        if (count > most_sections) damaged(fmt::format("{} sections are too many", count));
        const auto table = source_->read(FileOffset(section_offset_), count * entry);
        std::vector<Raw> raws;
        Cursor at(table, order_, path_, section_offset_);
        for (uint64_t i = 0; i < count; ++i) raws.push_back(read_raw(at));
        fill_sections(raws, names);
    }

    void fill_sections(const std::vector<Raw>& raws, uint64_t names) {
        std::vector<std::byte> strings;
        if (names < raws.size() && raws[names].type == SHT_STRTAB) strings = source_->read(FileOffset(raws[names].offset), raws[names].size);
        for (const Raw& raw : raws) {
            ElfSection section;
            if (raw.name < strings.size()) {
                const char* start = reinterpret_cast<const char*>(strings.data()) + raw.name;
                section.name.assign(start, strnlen(start, strings.size() - raw.name));
            }
            section.address = raw.address;
            section.offset = raw.offset;
            section.size = raw.size;
            section.type = raw.type;
            section.flags = raw.flags;
            section.index = sections_.size();
            if (raw.type != SHT_NOBITS && raw.type != SHT_NULL && (raw.offset > source_->size() || raw.size > source_->size() - raw.offset))
                damaged(fmt::format("section {} at offset 0x{:x} is 0x{:x} bytes long and the file ends at 0x{:x}: it was cut off",
                                    section.name, raw.offset, raw.size, source_->size()));
            if (raw.type == SHT_NULL) section.size = 0;
            sections_.push_back(std::move(section));
        }
    }

    std::vector<std::byte> find_build_id(std::span<const std::byte> notes) const {
        try {
            Cursor at(notes, order_, path_);
            while (at.left() >= 12) {
                const uint32_t name_size = at.u32(), size = at.u32(), type = at.u32();
                const auto name = at.bytes(name_size);
                at.skip(std::min<uint64_t>(-at.offset() & 3, at.left()));
                const auto description = at.bytes(size);
                at.skip(std::min<uint64_t>(-at.offset() & 3, at.left()));
                const bool gnu = name.size() == 4 && std::memcmp(name.data(), "GNU", 4) == 0;
                if (gnu && type == NT_GNU_BUILD_ID && size <= 64) return {description.begin(), description.end()};
            }
        } catch (const FileError&) { // a damaged note ends the search
        }
        return {};
    }

    // An SHF_COMPRESSED section, unpacked on first use.
    std::span<const std::byte> uncompressed(const ElfSection& section, std::span<const std::byte> bytes) const {
        const std::scoped_lock lock(mutex_);
        const auto known = uncompressed_.find(section.index);
        if (known != uncompressed_.end()) return known->second;
        const std::string name = path_ + " " + section.name;
        Cursor at(bytes, order_, name);
        const uint32_t kind = at.u32();
        if (word_size_ == 8) at.u32();
        const uint64_t size = at.word(word_size_);
        at.word(word_size_); // alignment
        if (kind != ELFCOMPRESS_ZLIB && kind != 2 /* ELFCOMPRESS_ZSTD */) damaged(fmt::format("section {} is packed in an unknown way", section.name));
        const Packing packing = kind == ELFCOMPRESS_ZLIB ? Packing::gzip : Packing::zstd;
        return uncompressed_[section.index] = unpack_section(bytes.subspan(at.offset()), packing, size, name);
    }

    std::string path_, readable_path_;
    std::shared_ptr<const ByteSource> source_; // of the plain bytes
    UnpackedFile unpacked_;
    uint16_t type_ = 0, machine_ = 0, section_entry_ = 0, section_count_ = 0, names_index_ = 0;
    ByteOrder order_ = ByteOrder::little;
    unsigned word_size_ = 8;
    uint64_t section_offset_ = 0;
    std::vector<ElfSection> sections_;
    mutable std::once_flag opened_;
    mutable UnpackedFile own_;
    mutable Mapping mapping_;
    mutable std::mutex mutex_;
    mutable std::map<size_t, std::vector<std::byte>> uncompressed_;
};

} // namespace

std::shared_ptr<ElfFile> ElfFile::open(const std::string& path, const ProgressMaker& progress) { return std::make_shared<OpenElf>(path, progress); }

bool looks_like_vmlinux(const std::string& path) {
    try {
        const auto file = open_file(path);
        const auto n = static_cast<size_t>(std::min<uint64_t>(file->size(), 64));
        auto head = file->read(FileOffset(0), n);
        const Packing packing = packing_of(head);
        if (packing != Packing::none) head = unpack_head(*file, packing, 64);
        if (head.size() < 20 || std::memcmp(head.data(), ELFMAG, SELFMAG) != 0) return false;
        const bool big = static_cast<unsigned char>(head[EI_DATA]) == ELFDATA2MSB;
        return load<uint16_t>(head.data() + 16, big ? ByteOrder::big : ByteOrder::little) != ET_CORE;
    } catch (const Error&) {
        return false;
    }
}

std::string hex(std::span<const std::byte> bytes) {
    std::string text;
    for (const std::byte byte : bytes) fmt::format_to(std::back_inserter(text), "{:02x}", static_cast<unsigned>(byte));
    return text;
}

} // namespace kcrash
