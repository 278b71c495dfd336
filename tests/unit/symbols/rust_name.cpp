// SPDX-License-Identifier: GPL-3.0-or-later
// The mangled names are those of RFC 2603 and of the kernel's Rust samples.
#include "symbols/rust_name.hpp"
#include <doctest/doctest.h>

using kcrash::demangle_rust;
using kcrash::demangle_rust_in;

TEST_CASE("rust names: v0 paths without crate hashes") {
    CHECK(demangle_rust("_RNvCskwGfYPst2Cb_3foo16example_function") == "foo::example_function");
    CHECK(demangle_rust("_RNvMs_Cs4Cv8Wi1oAIB_7mycrateNtB4_7Example3foo") == "<mycrate::Example>::foo");
    CHECK(demangle_rust("_RNvXCskwGfYPst2Cb_3fooNtB2_3BarNtB2_5Trait3baz") == "<foo::Bar as foo::Trait>::baz");
    CHECK(demangle_rust("_RNCNvCsgStHSCytQ6I_7mycrate4main0B3_") == "mycrate::main::{closure#0}");
}

TEST_CASE("rust names: v0 generics, references and constants") {
    CHECK(demangle_rust("_RINvNtC3std3mem8align_ofjdE") == "std::mem::align_of::<usize, f64>");
    CHECK(demangle_rust("_RINvC3foo3barRhQAtj8_E") == "foo::bar::<&u8, &mut [u16; 8]>");
    CHECK(demangle_rust("_RINvC3foo3barFEuE") == "foo::bar::<fn()>");
}

TEST_CASE("rust names: legacy names lose their hash") {
    CHECK(demangle_rust("_ZN4core3fmt9Formatter9write_str17h0123456789abcdefE") == "core::fmt::Formatter::write_str");
    CHECK(demangle_rust("_ZN47_$LT$foo..Bar$u20$as$u20$core..fmt..Display$GT$3fmt17h0123456789abcdefE") == "<foo::Bar as core::fmt::Display>::fmt");
}

TEST_CASE("rust names: what is not Rust stays as it is") {
    CHECK(!demangle_rust("schedule"));
    CHECK(!demangle_rust("_ZN3foo3barEv"));
    CHECK(!demangle_rust("_RNvC3fo"));
    CHECK(!demangle_rust("_RB_"));
    CHECK(demangle_rust_in(" _RNvCskwGfYPst2Cb_3foo3bar+0xf7/0x120 [foo]") == " foo::bar+0xf7/0x120 [foo]");
}

TEST_CASE("rust names: a name made to explode is refused") {
    std::string bomb = "_RINvC1a1b";
    for (int i = 0; i < 40; ++i) bomb += "TB9_B9_E";
    CHECK_NOTHROW(demangle_rust(bomb + "E"));
    CHECK(!demangle_rust("_R" + std::string(5000, 'Y')));
}
