// SPDX-License-Identifier: GPL-3.0-or-later
// Reading files with pread.
#include "core/file.hpp"
#include "core/error.hpp"
#include "core/nbd_file.hpp"
#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <fmt/format.h>
#include <linux/magic.h>
#include <mutex>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

namespace kcrash {
namespace {

class PlainFile final : public ByteSource {
public:
    PlainFile(int fd, std::string path, uint64_t size, bool live) : fd_(fd), path_(std::move(path)), size_(size), live_(live) {}
    ~PlainFile() override { ::close(fd_); }
    PlainFile(const PlainFile&) = delete;
    PlainFile& operator=(const PlainFile&) = delete;

    Fault try_read(FileOffset at, std::span<std::byte> into) const override {
        // An open /proc/kcore has one buffer, through which the kernel copies each page, and no lock around it: of two reads at a time
        // one gets the other's bytes. Linux df04abfd181a ("fs/proc/kcore.c: Add bounce buffer for ktext data"), v4.8.
        const auto alone = live_ ? std::unique_lock(reading_) : std::unique_lock<std::mutex>();
        uint64_t offset = at.value;
        while (!into.empty()) {
            if (offset > static_cast<uint64_t>(INT64_MAX)) return Fault::truncated;
            const ssize_t n = ::pread(fd_, into.data(), into.size(), static_cast<off_t>(offset));
            if (n < 0 && errno == EINTR) continue;
            if (n < 0) return Fault::io;
            if (n == 0) return Fault::truncated;
            into = into.subspan(static_cast<size_t>(n));
            offset += static_cast<uint64_t>(n);
        }
        return Fault::none;
    }
    uint64_t size() const override { return size_; }
    const std::string& path() const override { return path_; }
    FileOffset next_data(FileOffset at) const override {
        if (at.value >= size_ || at.value > static_cast<uint64_t>(INT64_MAX)) return at;
        const off_t data = ::lseek(fd_, static_cast<off_t>(at.value), SEEK_DATA);
        if (data >= 0) return FileOffset(static_cast<uint64_t>(data));
        struct stat now {};
        const bool hole_to_the_end = errno == ENXIO && ::fstat(fd_, &now) == 0 && static_cast<uint64_t>(now.st_size) == size_;
        return hole_to_the_end ? FileOffset(size_) : at; // a file that shrank is found out by reading it
    }
    bool live() const override { return live_; }

private:
    int fd_;
    std::string path_;
    uint64_t size_;
    bool live_;
    mutable std::mutex reading_; // /proc/kcore
};

bool is_proc(int fd) {
    struct statfs fs {};
    return ::fstatfs(fd, &fs) == 0 && fs.f_type == PROC_SUPER_MAGIC;
}

// /proc/kcore is the only ELF core file of /proc that is not of a dead kernel.
bool is_kcore(const std::string& path) { return path == "/proc/kcore" || path.ends_with("/kcore"); }

uint64_t size_of(int fd, const struct stat& st, bool proc) {
    if (S_ISBLK(st.st_mode)) {
        const off_t end = ::lseek(fd, 0, SEEK_END);
        return end < 0 ? 0 : static_cast<uint64_t>(end);
    }
    char byte;
    if (proc && st.st_size == 0 && ::pread(fd, &byte, 1, 0) == 1) return unknown_size;
    return static_cast<uint64_t>(st.st_size);
}

} // namespace

void ByteSource::read(FileOffset at, std::span<std::byte> into) const {
    const Fault fault = try_read(at, into);
    if (fault == Fault::truncated)
        throw FileError(
            fmt::format("{}: needs {} bytes at offset 0x{:x}, the file ends at 0x{:x}", path(), into.size(), at.value, size()));
    if (fault != Fault::none)
        throw FileError(fmt::format("{}: cannot read {} bytes at offset 0x{:x}", path(), into.size(), at.value));
}

std::vector<std::byte> ByteSource::read(FileOffset at, uint64_t n) const {
    if (at.value > size() || n > size() - at.value)
        throw FileError(fmt::format("{}: needs {} bytes at offset 0x{:x}, the file ends at 0x{:x}", path(), n, at.value, size()));
    std::vector<std::byte> bytes(n);
    read(at, std::span(bytes));
    return bytes;
}

std::shared_ptr<const ByteSource> open_file(const std::string& path) {
    if (is_nbd_uri(path)) return open_nbd(path);
    const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    if (fd < 0) throw FileError(fmt::format("{}: {}", path, std::strerror(errno)));
    struct stat st {};
    if (::fstat(fd, &st) != 0 || S_ISDIR(st.st_mode)) {
        ::close(fd);
        throw FileError(fmt::format("{}: is a directory", path));
    }
    if (!S_ISREG(st.st_mode) && !S_ISBLK(st.st_mode)) {
        ::close(fd);
        throw FileError(fmt::format("{}: is not a regular file", path));
    }
    const bool proc = is_proc(fd);
    return std::make_shared<PlainFile>(fd, path, size_of(fd, st, proc), proc && is_kcore(path));
}

} // namespace kcrash
