// SPDX-License-Identifier: GPL-3.0-or-later
// The search for vmlinux: its places, what may match, and the package that is named.
#include "symbols/debug_packages.hpp"
#include "symbols/kernel_file.hpp"
#include <algorithm>
#include <cstdlib>
#include <doctest/doctest.h>

using namespace kcrash;

static const ProgressMaker quiet;

static bool has(const FoundFile& found, const std::string& place) {
    return std::find(found.searched.begin(), found.searched.end(), place) != found.searched.end();
}

TEST_CASE("debug packages: named as each distribution names them") {
    CHECK(debug_package_advice("6.1.0-44-cloud-amd64") == "on Debian: apt install linux-image-6.1.0-44-cloud-amd64-dbg");
    CHECK(debug_package_advice("6.12.43+deb13-arm64") == "on Debian: apt install linux-image-6.12.43+deb13-arm64-dbg");
    CHECK(debug_package_advice("5.15.0-101-generic") ==
          "on Ubuntu: apt install linux-image-unsigned-5.15.0-101-generic-dbgsym, or "
          "linux-image-5.15.0-101-generic-dbgsym (from ddebs.ubuntu.com)");
    CHECK(debug_package_advice("5.14.0-427.13.1.el9_4.x86_64") ==
          "on Fedora, RHEL: dnf install --enablerepo='*debug*' kernel-debuginfo-5.14.0-427.13.1.el9_4.x86_64");
    CHECK(debug_package_advice("5.14.0-427.el9.aarch64+64k") ==
          "on Fedora, RHEL: dnf install --enablerepo='*debug*' kernel-64k-debuginfo-5.14.0-427.el9.aarch64");
    CHECK(debug_package_advice("5.14.21-150500.55.7-default") ==
          "on SUSE: zypper install -C 'kernel-default-debuginfo = 5.14.21-150500.55.7'");
    CHECK(debug_package_advice("6.1.192") == "");
    CHECK(debug_package_advice("6.1; rm -rf /") == "");
    const std::string any = debug_package_advice("6.9.1-custom");
    for (const char* name : {"on Debian: ", "on Ubuntu: ", "on Fedora, RHEL: ", "on SUSE: "})
        CHECK(any.find(name) != std::string::npos);
}

TEST_CASE("kernel file: every place is named, and nothing of the dump escapes from a path") {
    unsetenv("DEBUGINFOD_URLS");
    const FoundFile found = find_kernel_file(
        {"00112233445566778899aabbccddeeff00112233", "6.1.0-44-amd64", "/nowhere/dump/vmcore", {"/nowhere/debug"}}, quiet);
    CHECK(found.path.empty());
    for (const char* place : {"/nowhere/dump/.build-id/00/112233445566778899aabbccddeeff00112233.debug", "/nowhere/dump/vmlinux",
                              "/nowhere/dump/vmlinux-6.1.0-44-amd64", "/nowhere/debug/vmlinux.debug",
                              "/usr/lib/debug/.build-id/00/112233445566778899aabbccddeeff00112233.debug",
                              "/usr/lib/debug/boot/vmlinux-6.1.0-44-amd64", "/usr/lib/debug/lib/modules/6.1.0-44-amd64/vmlinux",
                              "debuginfod (DEBUGINFOD_URLS is not set)"})
        CHECK_MESSAGE(has(found, place), place);
    const FoundFile hostile = find_kernel_file({"../../../etc/passwd", "../../etc", "", {"/nowhere/debug"}}, quiet);
    for (const std::string& place : hostile.searched) CHECK(place.find("..") == std::string::npos);
    const std::string advice = search_advice(found, "6.1.0-44-amd64");
    CHECK(advice.starts_with("searched:\n  /nowhere/dump/.build-id/00/"));
    CHECK(advice.ends_with("\non Debian: apt install linux-image-6.1.0-44-amd64-dbg"));
}
