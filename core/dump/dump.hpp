// SPDX-License-Identifier: GPL-3.0-or-later
// An opened dump file of whatever format: pages, notes, vmcoreinfo.
//
// To add a format: write core/dump/<name>.cpp with one `const DumpFormat`, name it in core/dump/formats.cpp,
// and give it a fixture that opens and one that is refused.
#pragma once
#include "core/address.hpp"
#include "core/bytes.hpp"
#include "core/fault.hpp"
#include "core/file.hpp"
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace kcrash {

// An ELF note of the dump. Order is the file's; the n-th NT_PRSTATUS belongs to the n-th CPU that answered.
struct Note {
    std::string name; // "CORE", "VMCOREINFO", "QEMU", "LINUX"
    uint32_t type = 0;
    std::vector<std::byte> description;
    uint64_t offset = 0; // of its first byte in the area or the file that it was read from
};

constexpr uint32_t note_prstatus = 1; // NT_PRSTATUS of elf.h, in notes named "CORE"

// What the file says about itself, without any symbols. Absent is absent, never zero.
struct DumpInfo {
    std::string format;             // "kdump-compressed v6", "ELF", "flattened kdump-compressed v6"
    std::vector<std::string> files; // as given by the user
    uint16_t elf_machine = 0;       // EM_* of elf.h; 0: unknown
    bool machine_of_processor = false; // a hypervisor says which processor it was: its kernel may be one of 32 bits
    bool notes_have_pc = false;         // the pc of a CPU in its note is that of the moment, whichever machine it was
    ByteOrder order = ByteOrder::little;
    unsigned word_size = 8;             // bytes
    uint64_t page_size = 4096;          // bytes
    bool page_size_assumed = false;     // the file does not tell it, and the machine has more than one
    bool note_sought = false;           // VMCOREINFO was looked for in memory when the file was opened
    std::optional<uint32_t> dump_level; // makedumpfile -d, or derived; unknown in plain ELF
    std::string compression;            // "zlib", "lzo", "snappy", "zstd", "none"; the method named in the header
    bool partial = false;               // the dump tool left pages out on purpose
    bool incomplete = false;            // the dump tool ran out of room
    bool truncated = false;             // the file is shorter than its own headers say
    bool end_unseen = false;            // opened for a quick look: whether all of the file is there was not found out
    bool excluded_vmemmap = false;
    bool live = false;                 // the running kernel: what is read twice may differ
    bool split = false;                // several files make one dump
    bool machine_frames = false;       // page tables hold frames of another count: ask frame_of_machine()
    std::string release;               // utsname.release of the header, if it has one
    std::string machine;               // utsname.machine of the header, if it has one
    uint64_t max_frame = 0;            // page frames are below this; 0: unknown
    uint64_t double_bytes = 0;         // of memory that the file has in more than one place; the first is read
    std::vector<std::string> warnings; // what is odd about the file, each a line for the user
};

// A physical range that the machine had, as far as the dump knows. Ends are exclusive, in bytes.
struct PhysicalRange {
    PhysicalAddress begin, end;
};

class Dump;
// Opens one file, the files of one split set in any order, or raw memory as FILE@ADDRESS[,FILE@ADDRESS]... Throws FileError.
// quickly: to tell what it is. What is packed is unpacked only as far as that needs.
std::unique_ptr<Dump> open_dump(const std::vector<std::string>& paths, bool quickly = false);

class Dump {
public:
    virtual ~Dump() = default;
    const DumpInfo& info() const { return info_; }
    const std::vector<Note>& notes() const { return notes_; }
    // The text of the VMCOREINFO note; empty when there is none. Parse it with VmcoreInfo.
    const std::string& vmcoreinfo() const { return vmcoreinfo_; }
    // What makedumpfile was told to erase, its own lines: "erase SYMBOL.MEMBER size BYTES". Those bytes are 'X' or zero in the
    // dump. Empty when nothing was.
    const std::string& erased() const { return erased_; }

    // Fills one whole page (`into` is info().page_size bytes) or says why it cannot. Safe from many threads,
    // does not cache: PhysicalMemory does.
    virtual Fault try_read_page(PageFrame frame, std::span<std::byte> into) const = 0;
    // Bytes of a page that is not there as a whole: memory that the dump holds may begin or end inside of a page.
    virtual Fault try_read_part(PageFrame, uint64_t /*offset*/, std::span<std::byte> /*into*/) const { return Fault::not_in_dump; }
    // Where the page's data lies (file offset, for struct -f and rd -f); nothing when it has no place of its own.
    virtual std::optional<FileOffset> file_offset(PageFrame) const { return std::nullopt; }
    // The frame that a page table means by this number. It is the same, but in a paravirtual domain of Xen, whose tables hold the
    // frames of the machine under it. Nothing: the dump knows of no such frame.
    virtual std::optional<PageFrame> frame_of_machine(PageFrame machine) const { return machine; }
    // The machine's memory in ascending order, holes left out.
    virtual std::vector<PhysicalRange> memory() const = 0;

    // Bytes that came over a network so far; nothing: the files are here.
    std::optional<uint64_t> fetched() const;

protected:
    friend std::unique_ptr<Dump> open_dump(const std::vector<std::string>& paths, bool quickly); // adds what the wrapper knows
    std::vector<std::shared_ptr<const ByteSource>> files_; // as they lie on the disk, or behind the network
    DumpInfo info_;
    std::vector<Note> notes_;
    std::string vmcoreinfo_, erased_;
};

// The answer to "is this file yours?"
enum class Probe { mine, not_mine };

// One format. `open` throws FileError when the file is of this format but broken: that ends the search.
struct DumpFormat {
    const char* name;
    Probe (*probe)(std::span<const std::byte> head); // the first bytes of the file, up to 8192
    std::unique_ptr<Dump> (*open)(std::vector<std::shared_ptr<const ByteSource>> files);
    bool readable = true; // false: recognised by name only; `open` throws with the advice
    bool from_the_start = false; // opening reads neither the end nor the size of the file: what it is can be told from the beginning
};

std::span<const DumpFormat* const> dump_formats();

// Does any format claim this file? Used to sort the arguments of the command line. Never throws on content.
bool looks_like_dump(const ByteSource& file);

// Cuts an area of ELF notes into notes. A damaged tail is dropped and reported in `warnings`.
std::vector<Note> parse_notes(std::span<const std::byte> area, ByteOrder order, std::vector<std::string>& warnings);

} // namespace kcrash
