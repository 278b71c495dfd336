// ustar, by hand: a header of 512 bytes, the content padded to 512. The disk wants whole sectors.
#define _GNU_SOURCE
#include "archive.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

enum { block = 512, sector = 4096, room = 20 << 20, largest = 16 << 20 };

static int disk;
static char *buffer; // what waits to be written
static size_t used;
static char *scratch; // one file's content

static void leave(const char *what)
{
    perror(what);
    exit(1);
}

static char *take(size_t size)
{
    char *at = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
    if (at == MAP_FAILED)
        leave("mmap");
    return at;
}

void archive_open(const char *device)
{
    disk = open(device, O_WRONLY | O_DIRECT);
    if (disk < 0)
        leave(device);
    buffer = take(room);
    scratch = take(largest);
}

int archive_is_folder(const char *path)
{
    struct stat info;
    return lstat(path, &info) == 0 && S_ISDIR(info.st_mode);
}

static void place(char *name, size_t size, const char *prefix, const char *path)
{
    const char *first = "";
    if (!strncmp(path, "/run/truth/", 11) || !strncmp(path, "/proc/self/", 11)) {
        path += 11;
    } else if (!strncmp(path, "/proc/sys/", 10)) {
        path += 10;
        first = "sysctl/";
    } else if (!strncmp(path, "/proc/", 6) && !(path[6] >= '0' && path[6] <= '9')) {
        path += 6;
    } else {
        path++;
    }
    snprintf(name, size, "%s%s%s", prefix, first, path);
}

static void header(char *at, const char *name, size_t size)
{
    memset(at, 0, block);
    size_t length = strlen(name);
    if (length >= 100) {
        const char *slash = name + length - 99;
        slash = strchr(slash, '/');
        if (!slash)
            return;
        memcpy(at + 345, name, slash - name);
        name = slash + 1;
    }
    strncpy(at, name, 100);
    memcpy(at + 100, "0000644\0000000000\0000000000", 24);
    snprintf(at + 124, 12, "%011zo", size);
    memcpy(at + 136, "00000000000", 12);
    memset(at + 148, ' ', 8);
    at[156] = '0';
    memcpy(at + 257, "ustar\00000", 8);
    unsigned sum = 0;
    for (int i = 0; i < block; i++)
        sum += (unsigned char)at[i];
    snprintf(at + 148, 8, "%06o", sum);
}

void archive_add(const char *prefix, const char *path, const char *bytes, size_t size)
{
    char name[600];
    size_t padded = (size + block - 1) / block * block;
    if (used + block + padded + sector > room)
        archive_flush();
    place(name, sizeof name, prefix, path);
    header(buffer + used, name, size);
    memcpy(buffer + used + block, bytes, size);
    memset(buffer + used + block + size, 0, padded - size);
    used += block + padded;
}

// Reads to the end or to an error, in big pieces: many files of /proc are made anew at each read.
static ssize_t slurp(const char *path)
{
    int fd = open(path, O_RDONLY | O_NONBLOCK);
    if (fd < 0)
        return -1;
    size_t total = 0;
    ssize_t got = 0;
    while (total < largest && (got = read(fd, scratch + total, largest - total)) > 0)
        total += got;
    close(fd);
    return got < 0 && total == 0 ? -1 : (ssize_t)total;
}

void archive_copy(const char *prefix, const char *path)
{
    ssize_t size = slurp(path);
    if (size >= 0)
        archive_add(prefix, path, scratch, size);
}

// One line for each page that the process has, at most 256 of a mapping, so that a giant one does not fill the disk.
static size_t pages_of(int pagemap, uint64_t start, uint64_t end, char *text, size_t space)
{
    uint64_t entries[256];
    size_t length = 0;
    size_t wanted = (end - start) / 4096;
    if (wanted > 256)
        wanted = 256;
    ssize_t got = pread(pagemap, entries, wanted * 8, start / 4096 * 8);
    for (ssize_t i = 0; i < got / 8 && length + 40 < space; i++)
        if (entries[i] >> 62)
            length += snprintf(text + length, space - length, "%llx %016llx\n", (unsigned long long)(start + i * 4096),
                               (unsigned long long)entries[i]);
    return length;
}

void archive_pagemap(const char *process)
{
    char path[420];
    snprintf(path, sizeof path, "%s/maps", process);
    ssize_t size = slurp(path);
    snprintf(path, sizeof path, "%s/pagemap", process);
    int pagemap = open(path, O_RDONLY);
    if (size <= 0 || size > largest / 4 || pagemap < 0) {
        close(pagemap);
        return;
    }
    scratch[size] = 0;
    char *text = scratch + largest / 2;
    size_t length = 0;
    for (char *line = scratch; line && *line; line = strchr(line, '\n'), line = line ? line + 1 : line) {
        unsigned long long start, end;
        if (sscanf(line, "%llx-%llx", &start, &end) == 2)
            length += pages_of(pagemap, start, end, text + length, largest / 2 - length);
    }
    close(pagemap);
    archive_add("", path, text, length);
}

void archive_kmsg(void)
{
    int fd = open("/dev/kmsg", O_RDONLY | O_NONBLOCK);
    size_t total = 0;
    ssize_t got;
    // A read gives one record; EPIPE says that records were overwritten meanwhile.
    while (total + 8192 < largest && ((got = read(fd, scratch + total, 8192)) > 0 || errno == EPIPE))
        total += got > 0 ? got : 0;
    close(fd);
    archive_add("", "/run/truth/kmsg", scratch, total);
}

// Sector by sector; what remains of the last sector is filled by an entry of its own, never read back.
void archive_flush(void)
{
    static const char zeroes[sector];
    size_t odd = used % sector;
    if (odd) {
        size_t fill = sector - odd - block;
        header(buffer + used, "padding", fill);
        memcpy(buffer + used + block, zeroes, fill);
        used += block + fill;
    }
    for (size_t done = 0; done < used;) {
        ssize_t wrote = write(disk, buffer + done, used - done);
        if (wrote <= 0)
            leave("truth disk");
        done += wrote;
    }
    used = 0;
}
