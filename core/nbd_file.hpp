// SPDX-License-Identifier: GPL-3.0-or-later
// A file behind a Network Block Device server.
#pragma once
#include "core/file.hpp"
#include <chrono>
#include <string_view>

namespace kcrash {

// nbd://HOST[:PORT]/[EXPORT], nbd+unix:///[EXPORT]?socket=PATH, nbds:// and nbds+unix:// with TLS, nbd+vsock://.
bool is_nbd_uri(std::string_view word);
// Connects. Reads fetch blocks of 64 KiB, once each while they stay in the cache. Throws FileError with the server's words. A server
// that does not answer for `patience` is given up: every read is Fault::io from then on.
std::shared_ptr<const ByteSource> open_nbd(const std::string& uri, std::chrono::milliseconds patience = std::chrono::minutes(1));

} // namespace kcrash
