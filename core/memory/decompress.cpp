// SPDX-License-Identifier: GPL-3.0-or-later
// zlib, LZO1X, raw snappy and zstd, each into a page of known size.
#include "core/memory/decompress.hpp"
#include <cstring>
#include <lzo/lzo1x.h>
#include <memory>
#include <snappy-c.h>
#include <zlib.h>
#include <zstd.h>

namespace kcrash {
namespace {

struct ZlibStream {
    z_stream stream{};
    bool ready = inflateInit(&stream) == Z_OK;
    ZlibStream() = default;
    ZlibStream(const ZlibStream&) = delete;
    ZlibStream& operator=(const ZlibStream&) = delete;
    ~ZlibStream() {
        if (ready) inflateEnd(&stream);
    }
};

struct ZstdFree {
    void operator()(ZSTD_DCtx* context) const { ZSTD_freeDCtx(context); }
};

bool inflate_page(std::span<const std::byte> from, std::span<std::byte> into) {
    thread_local ZlibStream zlib;
    if (!zlib.ready || inflateReset(&zlib.stream) != Z_OK) return false;
    zlib.stream.next_in = const_cast<Bytef*>(reinterpret_cast<const Bytef*>(from.data())); // zlib's API predates const
    zlib.stream.avail_in = static_cast<uInt>(from.size());
    zlib.stream.next_out = reinterpret_cast<Bytef*>(into.data());
    zlib.stream.avail_out = static_cast<uInt>(into.size());
    return inflate(&zlib.stream, Z_FINISH) == Z_STREAM_END && zlib.stream.avail_out == 0;
}

bool lzo_page(std::span<const std::byte> from, std::span<std::byte> into) {
    static const bool ready = lzo_init() == LZO_E_OK;
    lzo_uint length = into.size();
    return ready &&
           lzo1x_decompress_safe(reinterpret_cast<const unsigned char*>(from.data()), from.size(),
                                 reinterpret_cast<unsigned char*>(into.data()), &length, nullptr) == LZO_E_OK &&
           length == into.size();
}

bool snappy_page(std::span<const std::byte> from, std::span<std::byte> into) {
    const char* source = reinterpret_cast<const char*>(from.data());
    size_t length = 0; // what the stream itself claims: it must be our page before a byte is written
    if (snappy_uncompressed_length(source, from.size(), &length) != SNAPPY_OK || length != into.size()) return false;
    return snappy_uncompress(source, from.size(), reinterpret_cast<char*>(into.data()), &length) == SNAPPY_OK &&
           length == into.size();
}

bool zstd_page(std::span<const std::byte> from, std::span<std::byte> into) {
    thread_local const std::unique_ptr<ZSTD_DCtx, ZstdFree> context(ZSTD_createDCtx());
    return context && ZSTD_decompressDCtx(context.get(), into.data(), into.size(), from.data(), from.size()) == into.size();
}

} // namespace

bool decompress(Compression method, std::span<const std::byte> from, std::span<std::byte> into) {
    switch (method) {
    case Compression::none:
        if (from.size() != into.size()) return false;
        std::memcpy(into.data(), from.data(), from.size());
        return true;
    case Compression::zlib: return inflate_page(from, into);
    case Compression::lzo: return lzo_page(from, into);
    case Compression::snappy: return snappy_page(from, into);
    case Compression::zstd: return zstd_page(from, into);
    }
    return false;
}

} // namespace kcrash
