// SPDX-License-Identifier: GPL-3.0-or-later
// kcrash.py inside of the program, as a string. CMake says where it is.
    .section .rodata.kcrash_python, "a"
    .globl kcrash_python_source
kcrash_python_source:
    .incbin KCRASH_PYTHON_SOURCE
    .byte 0
    .section .note.GNU-stack, "", @progbits
