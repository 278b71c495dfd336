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
