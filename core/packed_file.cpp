// SPDX-License-Identifier: GPL-3.0-or-later
// Packed files: which packer, and what is at the beginning.
#include "core/packed_file.hpp"
#include "core/error.hpp"
#include <algorithm>
#include <array>
#include <fmt/format.h>
#include <lzma.h>
#include <zlib.h>

namespace kcrash {
namespace {

using namespace std::string_view_literals;

struct Packer {
    std::string_view magic, name;
};

constexpr Packer packers[] = {
    {"\x1f\x8b"sv, "gzip"},         {"\xfd\x37zXZ\0"sv, "xz"},     {"BZh"sv, "bzip2"},
    {"\x28\xb5\x2f\xfd"sv, "zstd"}, {"\x04\x22\x4d\x18"sv, "lz4"}, {"\x89LZO"sv, "lzop"},
};

std::vector<std::byte> gzip_head(std::span<std::byte> in, size_t n) {
    std::vector<std::byte> out(n);
    z_stream stream{};
    if (inflateInit2(&stream, 15 + 16) != Z_OK) return {};
    stream.next_in = reinterpret_cast<Bytef*>(in.data());
    stream.avail_in = static_cast<uInt>(in.size());
    stream.next_out = reinterpret_cast<Bytef*>(out.data());
    stream.avail_out = static_cast<uInt>(n);
    inflate(&stream, Z_SYNC_FLUSH);
    out.resize(n - stream.avail_out);
    inflateEnd(&stream);
    return out;
}

std::vector<std::byte> xz_head(std::span<const std::byte> in, size_t n) {
    std::vector<std::byte> out(n);
    lzma_stream stream = LZMA_STREAM_INIT;
    if (lzma_stream_decoder(&stream, uint64_t{256} << 20, 0) != LZMA_OK) return {};
    stream.next_in = reinterpret_cast<const uint8_t*>(in.data());
    stream.avail_in = in.size();
    stream.next_out = reinterpret_cast<uint8_t*>(out.data());
    stream.avail_out = n;
    while (stream.avail_out > 0 && stream.avail_in > 0)
        if (lzma_code(&stream, LZMA_RUN) != LZMA_OK) break;
    out.resize(n - stream.avail_out);
    lzma_end(&stream);
    return out;
}

} // namespace

std::string_view packer_of(std::span<const std::byte> head) {
    const std::string_view text(reinterpret_cast<const char*>(head.data()), head.size());
    for (const Packer& packer : packers)
        if (text.starts_with(packer.magic)) return packer.name;
    return {};
}

std::vector<std::byte> packed_head(const ByteSource& file, std::string_view packer, size_t n) {
    if (packer == "lzop") return lzop_head(file, n);
    std::vector<std::byte> in(std::min<uint64_t>(file.size(), 65536));
    if (file.try_read(FileOffset(0), in) != Fault::none) return {};
    if (packer == "gzip") return gzip_head(in, n);
    if (packer == "xz") return xz_head(in, n);
    return {};
}

std::shared_ptr<const ByteSource> open_packed(std::shared_ptr<const ByteSource> file, std::string_view packer,
                                              std::vector<std::string>& warnings, bool quickly) {
    if (packer == "xz") return open_xz(std::move(file));
    if (packer == "gzip") return open_gzip(std::move(file), warnings, quickly);
    if (packer == "lzop") return open_lzop(std::move(file), warnings);
    throw FileError(fmt::format("{}: is packed with {}, in which nothing can be found without unpacking all of it; unpack it",
                                file->path(), packer));
}

} // namespace kcrash
