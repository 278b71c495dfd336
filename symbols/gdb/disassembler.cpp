// SPDX-License-Identifier: GPL-3.0-or-later
// libopcodes behind a C++ face.
//
// It is C that calls back: for the bytes of an instruction, for each piece of its text, for each address to be shown. No exception
// may pass through it, since it would leave its state half made: what a callback throws is kept and thrown again once it has
// returned. Pieces of text come with a style; "mnemonic" and "comment" are where we cut. Machines that do not tell styles are cut
// at the first blank, and at the tab behind the operands.
//
// That an instruction cannot be read is told in three ways. memory_error_func() is called (all but x86); the decoder of x86 reads
// byte by byte, never more than it needs, and where that fails prints what it has as ".byte"; others ask for more than an
// instruction may have, are content with less, and print ".short" where that is not enough. What they return then may be an
// errno that looks like a size.
//
// Which decoder a machine has, and what it wants prepared and freed, is libopcodes' own knowledge: the architecture's record names
// the machine as BFD does, and nothing is to be added here for a new one.
#include "symbols/gdb/disassembler.hpp"
#define PACKAGE "kcrash" // bfd.h asks for a config.h, and takes this for it
extern "C" {
#include <disassemble.h>
}
#include <algorithm>
#include <cerrno>
#include <cstdarg>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <mutex>
#include <stdexcept>
#include <string_view>
#include <utility>

namespace kcrash {
namespace {

// libopcodes keeps tables and options in static variables.
std::mutex& library_lock() {
    static std::mutex lock;
    return lock;
}

const bfd_arch_info_type& machine_of(const char* name) {
    const bfd_arch_info_type* machine = bfd_scan_arch(name);
    if (!machine) throw std::invalid_argument(std::string("BFD knows no machine ") + name);
    return *machine;
}

// What libopcodes writes for one instruction.
class Pieces {
public:
    void add(disassembler_style style, std::string_view piece) {
        styled_ |= style == dis_style_mnemonic;
        in_comment_ |= style == dis_style_comment_start;
        (in_comment_ ? comment_ : text_) += piece;
        // Between prefixes stand blanks that have no style.
        const bool blank = piece.find_first_not_of(" \t") == std::string_view::npos;
        in_mnemonic_ &= blank || style == dis_style_mnemonic || style == dis_style_assembler_directive;
        if (in_mnemonic_ && !in_comment_) mnemonic_end_ = text_.size();
    }
    InstructionText cut() const {
        InstructionText result;
        const size_t end = styled_ || mnemonic_end_ ? mnemonic_end_ : std::min(text_.find_first_of(" \t"), text_.size());
        result.mnemonic = text_.substr(0, end);
        result.operands = text_.substr(end);
        result.comment = comment_;
        result.before_operands = blanks_at_end(result.mnemonic) + blanks_at_start(result.operands);
        // Without styles, it is a tab that stands before a comment.
        if (const size_t tab = result.operands.find('\t'); tab != std::string::npos) {
            result.comment.insert(0, result.operands, tab);
            result.operands.resize(tab);
        }
        result.before_comment = blanks_at_end(result.operands) + blanks_at_start(result.comment);
        return result;
    }

private:
    static std::string blanks_at_end(std::string& text) {
        const size_t end = text.find_last_not_of(" \t") + 1;
        std::string blanks = text.substr(end);
        text.resize(end);
        return blanks;
    }
    static std::string blanks_at_start(std::string& text) {
        const size_t begin = std::min(text.find_first_not_of(" \t"), text.size());
        std::string blanks = text.substr(0, begin);
        text.erase(0, begin);
        return blanks;
    }

    std::string text_, comment_;
    size_t mnemonic_end_ = 0; // in text_
    bool in_mnemonic_ = true, styled_ = false, in_comment_ = false;
};

} // namespace

struct Disassembler::State {
    State(const CodeMachine& code, Read read, Name name) : machine(code), read_(std::move(read)), name_(std::move(name)) {}

    disassemble_info info{};
    disassembler_ftype print = nullptr;
    const CodeMachine machine;
    bool reads_bytes = false; // of an instruction one by one

    void begin() {
        pieces = {};
        failed_at.reset(), refers_to.reset();
        memory_error = false;
        thrown = nullptr;
    }
    int read(uint64_t address, void* into, size_t size) {
        bool good = false;
        guarded([&] { good = read_(address, into, size); });
        if (good) return 0;
        if (!failed_at) failed_at = address;
        return EIO;
    }
    void write(disassembler_style style, const char* format, va_list arguments) {
        char piece[256]; // more is no part of an instruction
        const int size = std::vsnprintf(piece, sizeof piece, format, arguments);
        if (size > 0) guarded([&] { pieces.add(style, {piece, std::min<size_t>(size, sizeof piece - 1)}); });
    }
    static int print_piece(void* stream, const char* format, ...) {
        va_list arguments;
        va_start(arguments, format);
        static_cast<State*>(stream)->write(dis_style_text, format, arguments);
        va_end(arguments);
        return 0;
    }
    static int print_styled_piece(void* stream, disassembler_style style, const char* format, ...) {
        va_list arguments;
        va_start(arguments, format);
        static_cast<State*>(stream)->write(style, format, arguments);
        va_end(arguments);
        return 0;
    }
    void write_address(uint64_t address) {
        refers_to = address;
        guarded([&] { pieces.add(dis_style_address, name_(address)); });
    }

    // Of the instruction that is being decoded.
    Pieces pieces;
    std::optional<uint64_t> failed_at, refers_to;
    bool memory_error = false;
    std::exception_ptr thrown;

private:
    template <typename Body> void guarded(const Body& body) noexcept {
        if (thrown) return;
        try {
            body();
        } catch (...) {
            thrown = std::current_exception();
        }
    }

    const Read read_;
    const Name name_;
};

Disassembler::Disassembler(const CodeMachine& machine, bool big_endian, Read read, Name name)
    : state_(std::make_unique<State>(machine, std::move(read), std::move(name))) {
    const std::lock_guard guard(library_lock());
    disassemble_info& info = state_->info;
    init_disassemble_info(&info, state_.get(), State::print_piece, State::print_styled_piece);
    info.read_memory_func = [](bfd_vma address, bfd_byte* into, unsigned size, disassemble_info* of) {
        return static_cast<State*>(of->stream)->read(address, into, size);
    };
    info.memory_error_func = [](int, bfd_vma, disassemble_info* of) { static_cast<State*>(of->stream)->memory_error = true; };
    info.print_address_func = [](bfd_vma address, disassemble_info* of) { static_cast<State*>(of->stream)->write_address(address); };
    const bfd_arch_info_type& known = machine_of(machine.name);
    info.arch = known.arch;
    info.mach = known.mach;
    info.endian = info.endian_code = big_endian ? BFD_ENDIAN_BIG : BFD_ENDIAN_LITTLE;
    disassemble_init_for_target(&info);
    state_->reads_bytes = info.arch == bfd_arch_i386;
    state_->print = disassembler(info.arch, big_endian, info.mach, nullptr);
    if (!state_->print) throw std::invalid_argument(std::string("libopcodes has no decoder for the machine ") + machine.name);
}

Disassembler::~Disassembler() {
    const std::lock_guard guard(library_lock());
    disassemble_free_target(&state_->info);
}

std::optional<InstructionText> Disassembler::decode(uint64_t address, uint64_t& unreadable) {
    const std::lock_guard guard(library_lock());
    State& state = *state_;
    const bool odd = (address & 1) && state.machine.odd_options;
    state.begin();
    // Read once, and forgotten by libopcodes: to be told anew for each instruction.
    state.info.disassembler_options = odd ? state.machine.odd_options : state.machine.options;
    const int size = state.print(odd ? address & ~uint64_t{1} : address, &state.info);
    if (state.thrown) std::rethrow_exception(std::exchange(state.thrown, nullptr));
    InstructionText result = state.pieces.cut();
    const bool cut_off = state.failed_at && (state.reads_bytes || result.mnemonic.starts_with('.'));
    if (state.memory_error || cut_off || size <= 0) {
        unreadable = state.failed_at.value_or(address);
        return std::nullopt;
    }
    result.size = static_cast<unsigned>(size);
    result.refers_to = state.refers_to;
    return result;
}

} // namespace kcrash
