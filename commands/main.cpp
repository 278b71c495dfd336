// SPDX-License-Identifier: GPL-3.0-or-later
// The process: command line in, exit status out.
int main() { return 0; }
