// SPDX-License-Identifier: GPL-3.0-or-later
// Names of packages, from utsname's release. Each distribution writes it in a way of its own:
//
//     Debian      6.1.0-44-cloud-amd64, 6.12.43+deb13-amd64    linux-image-RELEASE-dbg
//     Ubuntu      5.15.0-101-generic                           linux-image-unsigned-RELEASE-dbgsym, of ddebs.ubuntu.com
//     Fedora      6.8.5-301.fc40.x86_64                        kernel-debuginfo-RELEASE
//     RHEL        5.14.0-427.el9.x86_64, ...+rt, ...+64k       kernel-debuginfo, kernel-rt-debuginfo, kernel-64k-debuginfo
//     SUSE        5.14.21-150500.55.7-default                  kernel-FLAVOUR-debuginfo of that version
#include "symbols/debug_packages.hpp"
#include <algorithm>
#include <fmt/format.h>

namespace kcrash {
namespace {

bool is_release(std::string_view release) {
    return !release.empty() && release.size() <= 64 && release[0] >= '0' && release[0] <= '9' &&
           std::all_of(release.begin(), release.end(), [](char c) {
               return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '.' || c == '-' ||
                      c == '+' || c == '_' || c == '~';
           });
}

bool ends_with_one_of(std::string_view text, std::initializer_list<std::string_view> ends) {
    return std::any_of(ends.begin(), ends.end(), [&](std::string_view end) { return text.ends_with(end); });
}

std::string debian(std::string_view release) { return fmt::format("on Debian: apt install linux-image-{}-dbg", release); }

std::string ubuntu(std::string_view release) {
    return fmt::format(
        "on Ubuntu: apt install linux-image-unsigned-{0}-dbgsym, or linux-image-{0}-dbgsym (from ddebs.ubuntu.com)", release);
}

// The variant stands behind a plus: "5.14.0-427.el9.x86_64+rt".
std::string fedora(std::string_view release) {
    const size_t plus = release.find('+');
    const std::string variant = plus == std::string_view::npos ? "" : fmt::format("-{}", release.substr(plus + 1));
    return fmt::format("on Fedora, RHEL: dnf install --enablerepo='*debug*' kernel{}-debuginfo-{}", variant,
                       release.substr(0, plus));
}

// Packages have a rebuild counter behind the version that the release does not have.
std::string suse(std::string_view release) {
    const size_t dash = release.rfind('-');
    return fmt::format("on SUSE: zypper install -C 'kernel-{}-debuginfo = {}'", release.substr(dash + 1),
                       release.substr(0, dash));
}

} // namespace

std::string debug_package_advice(std::string_view release) {
    if (!is_release(release)) return {};
    if (release.find(".el") != std::string_view::npos || release.find(".fc") != std::string_view::npos) return fedora(release);
    if (ends_with_one_of(release, {"-amd64", "-arm64", "-arm64-16k", "-riscv64", "-s390x", "-powerpc64le", "-powerpc64le-64k",
                                   "-loong64", "-686", "-686-pae", "-armmp", "-armmp-lpae", "-marvell", "-rpi"}))
        return debian(release);
    if (ends_with_one_of(release, {"-generic", "-lowlatency", "-aws", "-gcp", "-oracle", "-ibm", "-kvm", "-generic-64k",
                                   "-generic-lpae", "-raspi", "-oem"}))
        return ubuntu(release);
    if (ends_with_one_of(release, {"-default", "-preempt", "-64kb"})) return suse(release);
    if (release.find('-') == std::string_view::npos) return {}; // nobody's package
    return fmt::format("{}\n{}\n{}\n{}", debian(release), ubuntu(release), fedora(release), suse(release));
}

} // namespace kcrash
