// SPDX-License-Identifier: GPL-3.0-or-later
// Unpacking by streams: a file of any size needs two small buffers.
#include "symbols/unpack.hpp"
#include "core/error.hpp"
#include "symbols/debug_files.hpp"
#include "symbols/elf_symbols.hpp"
#include "symbols/hash.hpp"
#include <bzlib.h>
#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <fmt/format.h>
#include <functional>
#include <lzma.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>
#include <zstd.h>

namespace kcrash {
namespace {

constexpr size_t buffer_size = size_t{1} << 18;
constexpr uint64_t largest_file = uint64_t{16} << 30; // no vmlinux comes near; a compression bomb does

// One decoder: takes what it can from `in`, gives what it can to `out`, says when a stream has ended.
class Decoder {
public:
    struct Step { size_t used, made; bool ended; };
    virtual ~Decoder() = default;
    virtual Step step(std::span<const std::byte> in, std::span<std::byte> out) = 0; // throws FileError
    virtual void restart() = 0; // for the next of several streams put behind one another
};

[[noreturn]] void damaged(std::string_view why) { throw FileError(fmt::format("compressed data is damaged: {}", why)); }

class Gzip final : public Decoder {
public:
    explicit Gzip(int window) : window_(window) {
        if (inflateInit2(&stream_, window) != Z_OK) throw FileError("zlib cannot start");
    }
    ~Gzip() override { inflateEnd(&stream_); }
    Step step(std::span<const std::byte> in, std::span<std::byte> out) override {
        stream_.next_in = reinterpret_cast<Bytef*>(const_cast<std::byte*>(in.data()));
        stream_.avail_in = static_cast<uInt>(in.size());
        stream_.next_out = reinterpret_cast<Bytef*>(out.data());
        stream_.avail_out = static_cast<uInt>(out.size());
        const int result = inflate(&stream_, Z_NO_FLUSH);
        if (result != Z_OK && result != Z_STREAM_END && result != Z_BUF_ERROR) damaged(stream_.msg ? stream_.msg : "zlib");
        return {in.size() - stream_.avail_in, out.size() - stream_.avail_out, result == Z_STREAM_END};
    }
    void restart() override { inflateReset2(&stream_, window_); }

private:
    z_stream stream_{};
    int window_;
};

class Bzip2 final : public Decoder {
public:
    Bzip2() { start(); }
    ~Bzip2() override { BZ2_bzDecompressEnd(&stream_); }
    Step step(std::span<const std::byte> in, std::span<std::byte> out) override {
        stream_.next_in = reinterpret_cast<char*>(const_cast<std::byte*>(in.data()));
        stream_.avail_in = static_cast<unsigned>(in.size());
        stream_.next_out = reinterpret_cast<char*>(out.data());
        stream_.avail_out = static_cast<unsigned>(out.size());
        const int result = BZ2_bzDecompress(&stream_);
        if (result != BZ_OK && result != BZ_STREAM_END) damaged("bzip2");
        return {in.size() - stream_.avail_in, out.size() - stream_.avail_out, result == BZ_STREAM_END};
    }
    void restart() override {
        BZ2_bzDecompressEnd(&stream_);
        stream_ = {};
        start();
    }

private:
    void start() {
        if (BZ2_bzDecompressInit(&stream_, 0, 0) != BZ_OK) throw FileError("bzip2 cannot start");
    }
    bz_stream stream_{};
};

class Xz final : public Decoder {
public:
    Xz() { restart(); }
    ~Xz() override { lzma_end(&stream_); }
    Step step(std::span<const std::byte> in, std::span<std::byte> out) override {
        stream_.next_in = reinterpret_cast<const uint8_t*>(in.data());
        stream_.avail_in = in.size();
        stream_.next_out = reinterpret_cast<uint8_t*>(out.data());
        stream_.avail_out = out.size();
        const lzma_ret result = lzma_code(&stream_, LZMA_RUN);
        if (result != LZMA_OK && result != LZMA_STREAM_END && result != LZMA_BUF_ERROR) damaged("xz");
        return {in.size() - stream_.avail_in, out.size() - stream_.avail_out, result == LZMA_STREAM_END};
    }
    void restart() override {
        // 1 GB of dictionary at most: kernels are packed with 64 MB or less.
        if (lzma_stream_decoder(&stream_, uint64_t{1} << 30, 0) != LZMA_OK) throw FileError("xz cannot start");
    }

private:
    lzma_stream stream_ = LZMA_STREAM_INIT;
};

class Zstd final : public Decoder {
public:
    Zstd() : stream_(ZSTD_createDStream()) {
        if (!stream_) throw FileError("zstd cannot start");
        ZSTD_DCtx_setParameter(stream_, ZSTD_d_windowLogMax, 30);
    }
    ~Zstd() override { ZSTD_freeDStream(stream_); }
    Step step(std::span<const std::byte> in, std::span<std::byte> out) override {
        ZSTD_inBuffer source{in.data(), in.size(), 0};
        ZSTD_outBuffer target{out.data(), out.size(), 0};
        const size_t result = ZSTD_decompressStream(stream_, &target, &source);
        if (ZSTD_isError(result)) damaged(ZSTD_getErrorName(result));
        return {source.pos, target.pos, result == 0};
    }
    void restart() override { ZSTD_DCtx_reset(stream_, ZSTD_reset_session_only); }

private:
    ZSTD_DStream* stream_;
};

std::unique_ptr<Decoder> make_decoder(Packing packing) {
    switch (packing) {
    case Packing::gzip: return std::make_unique<Gzip>(15 + 16);
    case Packing::bzip2: return std::make_unique<Bzip2>();
    case Packing::xz: return std::make_unique<Xz>();
    case Packing::zstd: return std::make_unique<Zstd>();
    case Packing::none: break;
    }
    throw FileError("not a compressed file");
}

// A whole stream was read: what follows is another stream, or padding that ends the file.
bool another_stream(std::span<const std::byte> rest, Packing packing) { return packing_of(rest) == packing; }

// Feeds the file through the decoder; `take` gets what comes out and says whether it wants more.
void decode(const ByteSource& file, Packing packing, const ProgressStep& progress, const std::function<bool(std::span<const std::byte>)>& take) {
    auto decoder = make_decoder(packing);
    std::vector<std::byte> in(buffer_size), out(buffer_size);
    uint64_t at = 0;
    size_t begin = 0, end = 0;
    bool ended = false;
    for (;;) {
        progress(at, file.size());
        if (end - begin < 8 && at < file.size()) { // keep a few bytes in sight, to recognise the next stream
            std::memmove(in.data(), in.data() + begin, end - begin);
            end -= begin;
            begin = 0;
            const auto n = static_cast<size_t>(std::min<uint64_t>(file.size() - at, in.size() - end));
            file.read(FileOffset(at), std::span(in).subspan(end, n));
            at += n;
            end += n;
        }
        const auto rest = std::span<const std::byte>(in).subspan(begin, end - begin);
        if (ended) {
            if (!another_stream(rest, packing)) return;
            decoder->restart();
        }
        const auto step = decoder->step(rest, out);
        begin += step.used;
        ended = step.ended;
        if (step.made && !take(std::span<const std::byte>(out).first(step.made))) return;
        if (!ended && !step.used && !step.made && at == file.size()) damaged("it ends too early");
    }
}

void write_all(int fd, std::span<const std::byte> bytes) {
    while (!bytes.empty()) {
        const ssize_t n = ::write(fd, bytes.data(), bytes.size());
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) throw FileError(fmt::format("cannot write: {}", std::strerror(errno)));
        bytes = bytes.subspan(static_cast<size_t>(n));
    }
}

void unpack_into(int fd, const ByteSource& file, Packing packing, const ProgressMaker& progress) {
    uint64_t total = 0;
    decode(file, packing, start_progress(progress, fmt::format("unpacking {}", file_name(file.path()))), [&](std::span<const std::byte> bytes) {
        if (total == 0 && (bytes.size() < 4 || std::memcmp(bytes.data(), "\177ELF", 4) != 0)) damaged("no ELF file is inside");
        total += bytes.size();
        if (total > largest_file) damaged("what is inside is too large");
        write_all(fd, bytes);
        return true;
    });
    if (total == 0) damaged("nothing is inside");
}

// The name of the unpacked file: by size, time and both ends of the packed one, so that a replaced file is unpacked anew.
std::string cached_name(const ByteSource& file) {
    struct stat st {};
    if (::stat(file.path().c_str(), &st) != 0) return {};
    const auto n = static_cast<size_t>(std::min<uint64_t>(file.size(), 65536));
    std::vector<std::byte> ends(2 * n);
    if (file.try_read(FileOffset(0), std::span(ends).first(n)) != Fault::none) return {};
    if (file.try_read(FileOffset(file.size() - n), std::span(ends).last(n)) != Fault::none) return {};
    const auto time = static_cast<uint64_t>(st.st_mtim.tv_sec) * 1000000000u + static_cast<uint64_t>(st.st_mtim.tv_nsec);
    return fmt::format("{:x}-{:x}-{:016x}.elf", file.size(), time, hash_bytes(ends));
}

// Null when the cache folder cannot be used: full, read-only, none.
UnpackedFile unpack_to_cache(const ByteSource& file, Packing packing, const ProgressMaker& progress) {
    UnpackedFile result;
    std::string folder = cache_directory();
    const std::string name = cached_name(file);
    if (folder.empty() || name.empty()) return result;
    folder += "/unpacked";
    ::mkdir(folder.c_str(), 0700);
    const std::string path = folder + "/" + name;
    result.fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
    result.path = path;
    if (result.fd >= 0) return result;
    std::string temporary = path + ".XXXXXX";
    const int fd = ::mkostemp(temporary.data(), O_CLOEXEC);
    if (fd < 0) return result;
    try {
        unpack_into(fd, file, packing, progress);
    } catch (...) {
        ::close(fd);
        ::unlink(temporary.c_str());
        throw;
    }
    result.fd = fd;
    if (::rename(temporary.c_str(), path.c_str()) != 0) {
        ::unlink(temporary.c_str());
        result.path = fmt::format("/proc/self/fd/{}", fd);
    }
    return result;
}

} // namespace

UnpackedFile::~UnpackedFile() {
    if (fd >= 0) ::close(fd);
}

Packing packing_of(std::span<const std::byte> head) {
    const auto starts = [&](std::string_view magic) {
        return head.size() >= magic.size() && std::memcmp(head.data(), magic.data(), magic.size()) == 0;
    };
    using namespace std::string_view_literals;
    if (starts("\x1f\x8b"sv)) return Packing::gzip;
    if (starts("BZh"sv)) return Packing::bzip2;
    if (starts("\xfd" "7zXZ\0"sv)) return Packing::xz;
    if (starts("\x28\xb5\x2f\xfd"sv)) return Packing::zstd;
    return Packing::none;
}

UnpackedFile unpack(const ByteSource& file, Packing packing, const ProgressMaker& progress) {
    try {
        try {
            UnpackedFile cached = unpack_to_cache(file, packing, progress);
            if (cached.fd >= 0) return cached;
        } catch (const FileError& error) {
            if (std::string_view(error.what()).find("cannot write") == std::string_view::npos) throw;
        }
        UnpackedFile memory;
        memory.fd = ::memfd_create("kcrash-unpacked", MFD_CLOEXEC);
        if (memory.fd < 0) throw FileError(fmt::format("cannot get memory: {}", std::strerror(errno)));
        memory.path = fmt::format("/proc/self/fd/{}", memory.fd);
        unpack_into(memory.fd, file, packing, progress);
        return memory;
    } catch (const FileError& error) {
        throw FileError(fmt::format("{}: {}", file.path(), error.what()));
    }
}

std::vector<std::byte> unpack_head(const ByteSource& file, Packing packing, size_t n) {
    std::vector<std::byte> head;
    try {
        decode(file, packing, start_progress({}, {}), [&](std::span<const std::byte> bytes) {
            head.insert(head.end(), bytes.begin(), bytes.begin() + static_cast<ptrdiff_t>(std::min(bytes.size(), n - head.size())));
            return head.size() < n;
        });
    } catch (const FileError&) { // what came out before the damage is still the head
    }
    return head;
}

std::vector<std::byte> unpack_section(std::span<const std::byte> packed, Packing packing, uint64_t size, const std::string& name) {
    // zlib reaches 1:1032 and zstd, on runs, far more; a section of the kernel never comes near 1:2000.
    if (size > packed.size() * 2000 + 4096) throw FileError(fmt::format("{}: its uncompressed size 0x{:x} is impossible", name, size));
    std::vector<std::byte> out(size);
    std::unique_ptr<Decoder> decoder;
    if (packing == Packing::gzip) decoder = std::make_unique<Gzip>(15);
    else decoder = std::make_unique<Zstd>();
    size_t used = 0, made = 0;
    constexpr size_t most = size_t{1} << 30; // zlib counts in 32 bits
    while (made < size) {
        const auto in = packed.subspan(used, std::min(most, packed.size() - used));
        const auto step = decoder->step(in, std::span(out).subspan(made, std::min<size_t>(most, size - made)));
        used += step.used;
        made += step.made;
        if (made < size && (step.ended || (!step.used && !step.made)))
            throw FileError(fmt::format("{}: compressed data ends too early", name));
    }
    return out;
}

} // namespace kcrash
