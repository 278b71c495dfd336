// SPDX-License-Identifier: GPL-3.0-or-later
// NBD servers that do not answer. tests/formats/run.py has those that do.
#include "core/nbd_file.hpp"
#include "core/bytes.hpp"
#include "tests/fixtures/open_fixture.hpp"
#include <chrono>
#include <doctest/doctest.h>
#include <filesystem>
#include <fmt/format.h>
#include <random>
#include <sys/socket.h>
#include <sys/un.h>
#include <thread>
#include <unistd.h>

using namespace kcrash;
using namespace kcrash::fixtures;

namespace {

// A socket that is listened to.
struct Listener {
    Listener() : path(std::filesystem::temp_directory_path() / fmt::format("kcrash-nbd-{}", std::random_device()())) {
        sockaddr_un address{};
        address.sun_family = AF_UNIX;
        path.copy(address.sun_path, sizeof address.sun_path - 1);
        REQUIRE(bind(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0);
        REQUIRE(listen(fd, 1) == 0);
    }
    ~Listener() {
        close(fd);
        std::filesystem::remove(path);
    }
    std::string uri() const { return "nbd+unix:///?socket=" + path; }

    std::string path;
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
};

void put(int fd, std::initializer_list<std::pair<uint64_t, unsigned>> numbers) {
    std::string text;
    for (const auto& [value, size] : numbers)
        for (unsigned i = size; i-- > 0;) text += static_cast<char>(value >> 8 * i);
    CHECK(write(fd, text.data(), text.size()) == static_cast<ssize_t>(text.size()));
}

} // namespace

TEST_CASE("nbd: a server that says nothing is given up") {
    const Listener server;
    CHECK(error_of([&] { open_nbd(server.uri(), std::chrono::milliseconds(300)); }, server.uri()) ==
          "FILE: the server does not answer; given up after 0.3 s");
}

TEST_CASE("nbd: one bad sector does not take its neighbours with it") {
    constexpr uint64_t size = 1 << 20, bad = 100'352, sector = 512;
    const Listener server;
    std::thread old_style([&] {
        const int fd = accept(server.fd, nullptr, nullptr);
        put(fd, {{0x4e42444d41474943, 8}, {0x00420281861253, 8}, {size, 8}, {1, 4}});
        for (unsigned i = 0; i < 31; ++i) put(fd, {{0, 4}});
        std::byte request[28]; // magic, flags, type, cookie, offset, length
        while (recv(fd, request, sizeof request, MSG_WAITALL) == sizeof request) {
            const auto cookie = load<uint64_t>(request + 8, ByteOrder::big), offset = load<uint64_t>(request + 16, ByteOrder::big);
            const auto length = load<uint32_t>(request + 24, ByteOrder::big);
            if (load<uint16_t>(request + 6, ByteOrder::big) != 0) break; // not a read: the end
            constexpr uint64_t input_output_error = 5;
            const bool fails = offset < bad + sector && offset + length > bad;
            put(fd, {{0x67446698, 4}, {fails ? input_output_error : 0, 4}, {cookie, 8}});
            if (fails) continue;
            std::string bytes;
            for (uint64_t at = offset; at < offset + length; ++at) bytes += static_cast<char>(at / sector);
            CHECK(send(fd, bytes.data(), bytes.size(), 0) == static_cast<ssize_t>(bytes.size()));
        }
        close(fd);
    });
    {
        const auto file = open_nbd(server.uri(), std::chrono::seconds(30));
        const auto read = [&](uint64_t at, size_t count) {
            std::vector<std::byte> bytes(count);
            const Fault fault = file->try_read(FileOffset(at), bytes);
            if (fault != Fault::none) return std::string(name(fault));
            for (size_t i = 0; i < count; ++i)
                if (bytes[i] != static_cast<std::byte>((at + i) / sector)) return fmt::format("another byte at {}", at + i);
            return std::string("good");
        };
        CHECK(read(bad - sector, sector) == "good");
        CHECK(read(bad, sector) == std::string(name(Fault::io)));
        CHECK(read(bad + sector, 4096) == "good");
        CHECK(read(65536, 4096) == "good");
        CHECK(read(10, 4096) == "good");
        CHECK(read(131072, 300'000) == "good"); // several blocks
        CHECK(read(60'000, 20'000) == "good");  // from a block that is whole into that one
        CHECK(read(60'000, 60'000) == std::string(name(Fault::io)));
        CHECK(*file->fetched() < size);
    }
    old_style.join();
}

TEST_CASE("nbd: a server that stops answering reads is given up once, and then at once") {
    const Listener server;
    std::thread old_style([&] { // the oldest handshake: the size, and nothing more to say
        const int fd = accept(server.fd, nullptr, nullptr);
        put(fd, {{0x4e42444d41474943, 8}, {0x00420281861253, 8}, {1 << 20, 8}, {1, 4}});
        for (unsigned i = 0; i < 31; ++i) put(fd, {{0, 4}});
        char byte;
        while (read(fd, &byte, 1) > 0) {} // requests, unanswered
        close(fd);
    });
    {
        const auto file = open_nbd(server.uri(), std::chrono::milliseconds(300));
        CHECK(file->size() == 1 << 20);
        std::byte bytes[16];
        CHECK(file->try_read(FileOffset(0), bytes) == Fault::io);
        // Each waiting for 0.3 s, they would take longer than the suite may.
        for (int i = 0; i < 10'000; ++i) CHECK(file->try_read(FileOffset(65536), bytes) == Fault::io);
    }
    old_style.join();
}
