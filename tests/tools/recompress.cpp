// SPDX-License-Identifier: GPL-3.0-or-later
// kdump_rewrite METHOD IN OUT: writes a real kdump-compressed dump again with its pages in another method.
//
// No tool here writes snappy pages, so this makes real dumps with them. Headers, notes and bitmaps are copied as they are;
// only the status word, the descriptors and the page data are new. Pages that shared a place share one again.
#include "core/dump/dump.hpp"
#include "core/dump/frame_bitmap.hpp"
#include "core/dump/kdump_header.hpp"
#include "core/error.hpp"
#include "tests/fixtures/byte_image.hpp"
#include "tests/fixtures/memory_text.hpp"
#include <fmt/format.h>
#include <fstream>
#include <map>

using namespace kcrash;

namespace {

struct Method {
    const char* name;
    Compression compression;
    uint32_t flag;
};
constexpr Method methods[] = {{"raw", Compression::none, 0},
                              {"zlib", Compression::zlib, KdumpHeader::zlib},
                              {"lzo", Compression::lzo, KdumpHeader::lzo},
                              {"snappy", Compression::snappy, KdumpHeader::snappy},
                              {"zstd", Compression::zstd, KdumpHeader::zstd}};

const Method& find_method(std::string_view name) {
    for (const Method& method : methods)
        if (name == method.name) return method;
    throw UsageError(fmt::format("unknown method \"{}\"; there are raw, zlib, lzo, snappy and zstd", name));
}

// Writes descriptors and page data behind the copied headers.
class Rewriter {
public:
    Rewriter(const std::string& from, const std::string& to, const Method& method)
        : dump_(open_dump({from})), file_(open_file(from)), header_(read_kdump_header(*file_)), method_(method),
          image_(header_.order), out_(to, std::ios::binary) {
        if (header_.split || !header_.two_bitmaps())
            throw UsageError(from + ": only whole dumps with two bitmaps can be rewritten");
    }

    void run() {
        image_.bytes = file_->read(FileOffset(0), header_.descriptors_at());
        constexpr uint32_t all = KdumpHeader::zlib | KdumpHeader::lzo | KdumpHeader::snappy | KdumpHeader::zstd;
        image_.put<uint32_t>(header_.word_size == 8 ? 424 : 412, (header_.status & ~all) | method_.flag);
        const uint64_t half = header_.bitmap_blocks / 2 * header_.block_size;
        const FrameBitmap dumped({file_, FileOffset(header_.bitmap_at() + half), header_.frames});
        next_ = header_.descriptors_at() + dumped.count() * 24;
        image_.grow(next_);
        out_.seekp(static_cast<std::streamoff>(next_));
        FrameBitmap::Answer answer;
        for (uint64_t frame = 0; frame < header_.frames; ++frame)
            if (dumped.try_find(PageFrame(frame), answer) == Fault::none && answer.set) rewrite(PageFrame(frame), answer.rank);
        out_.seekp(0);
        out_.write(reinterpret_cast<const char*>(image_.bytes.data()), static_cast<std::streamsize>(image_.size()));
        if (!out_.flush()) throw FileError("the new dump cannot be written");
    }

private:
    struct Place {
        uint64_t offset;
        uint32_t size, flags;
    };

    void rewrite(PageFrame frame, uint64_t rank) {
        std::vector<std::byte> page(header_.block_size);
        const Fault fault = dump_->try_read_page(frame, page);
        if (fault != Fault::none) throw FileError(fmt::format("page frame 0x{:x}: {}", frame.value, describe(fault)));
        const auto [entry, is_new] = places_.try_emplace(dump_->file_offset(frame)->value);
        if (is_new) entry->second = write(page);
        const Place& place = entry->second;
        const uint64_t at = header_.descriptors_at() + rank * 24;
        image_.put<uint64_t>(at, place.offset);
        image_.put<uint32_t>(at + 8, place.size);
        image_.put<uint32_t>(at + 12, place.flags);
    }

    Place write(const std::vector<std::byte>& page) {
        const auto packed = fixtures::compress(method_.compression, page);
        const auto& data = packed ? *packed : page;
        out_.write(reinterpret_cast<const char*>(data.data()), static_cast<std::streamsize>(data.size()));
        const Place place{next_, static_cast<uint32_t>(data.size()), packed ? method_.flag : 0};
        next_ += data.size();
        return place;
    }

    std::unique_ptr<Dump> dump_;
    std::shared_ptr<const ByteSource> file_;
    KdumpHeader header_;
    const Method& method_;
    fixtures::ByteImage image_; // all before the page data
    std::ofstream out_;
    uint64_t next_ = 0;                // where the next page's data goes
    std::map<uint64_t, Place> places_; // by the old offset
};

} // namespace

int main(int argc, char** argv) {
    try {
        if (argc != 4) throw UsageError("usage: kdump_rewrite METHOD IN OUT");
        Rewriter(argv[2], argv[3], find_method(argv[1])).run();
        return 0;
    } catch (const Error& error) {
        fmt::print(stderr, "kdump_rewrite: {}\n", error.what());
        return 2;
    }
}
