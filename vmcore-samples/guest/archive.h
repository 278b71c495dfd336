// A ustar archive written to a raw disk with direct I/O. Places in it: /proc/meminfo is meminfo, /proc/self/net/tcp is
// net/tcp, /proc/1/stat is proc/1/stat, /proc/sys/vm is sysctl/vm, /run/truth/ps is ps; the rest keeps its path.
#pragma once

#include <stddef.h>

// Opens the device and takes all memory that will be needed. Leaves the program on failure, as all others here.
void archive_open(const char *device);

int archive_is_folder(const char *path);

// Adds bytes under prefix + the place of the path.
void archive_add(const char *prefix, const char *path, const char *bytes, size_t size);

// Adds what reading the path gives; a path that cannot be read is left out.
void archive_copy(const char *prefix, const char *path);

// Adds PATH/pagemap as text: "address entry" in hex for pages that are present or swapped, 256 of each mapping.
void archive_pagemap(const char *process);

// Adds the records of /dev/kmsg as they are.
void archive_kmsg(void);

void archive_flush(void);
