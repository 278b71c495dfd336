// The roles whose memory is of interest: swapped, huge, shared, without access, mapped from files.
#define _GNU_SOURCE
#include "crowd.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/shm.h>
#include <unistd.h>

#ifndef MADV_PAGEOUT
#define MADV_PAGEOUT 21
#endif

static const size_t page = 4096;
static const size_t megabyte = 1 << 20;

static char *anonymous(size_t size, int flags)
{
    char *at = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | flags, -1, 0);
    return at == MAP_FAILED ? NULL : at;
}

// Every page says where it is, so that a debugger's rd -u can be checked page by page.
static void sign_pages(char *at, size_t size, const char *word)
{
    for (size_t offset = 0; offset < size; offset += page)
        snprintf(at + offset, page, "%s %p", word, (void *)(at + offset));
}

static void swapped(void)
{
    const size_t size = 8 * megabyte;
    char *at = anonymous(size, 0);
    if (!at)
        fail("swapped");
    madvise(at, size, MADV_NOHUGEPAGE);
    sign_pages(at, size, "swapped");
    if (madvise(at, size, MADV_PAGEOUT))
        perror("swapped: MADV_PAGEOUT");
    tell("swapped", "addr=%p size=%zu word=swapped", (void *)at, size);
}

static void huge_transparent(void)
{
    const size_t huge = 2 * megabyte;
    char *at = anonymous(4 * huge, 0);
    if (!at)
        fail("thp");
    at = (char *)(((unsigned long)at + huge - 1) & ~(huge - 1));
    madvise(at, 2 * huge, MADV_HUGEPAGE);
    sign_pages(at, 2 * huge, "thp");
    tell("thp", "addr=%p size=%zu word=thp", (void *)at, 2 * huge);
}

static void huge_tlb(void)
{
    char *at = anonymous(2 * megabyte, MAP_HUGETLB);
    if (!at) {
        perror("hugetlb");
        return;
    }
    sign_pages(at, 2 * megabyte, "hugetlb");
    tell("hugetlb", "addr=%p size=%zu word=hugetlb", (void *)at, 2 * megabyte);
}

static void no_access(void)
{
    char *at = anonymous(8 * page, 0);
    if (!at)
        fail("prot_none");
    sign_pages(at, 8 * page, "prot_none");
    mprotect(at + 4 * page, 4 * page, PROT_NONE);
    tell("prot_none", "addr=%p size=%zu word=prot_none none_from=%p", (void *)at, 8 * page, (void *)(at + 4 * page));
}

static void shared_memory(void)
{
    int id = shmget(0x6b637203, 16 * page, IPC_CREAT | 0600);
    char *at = id < 0 ? (void *)-1 : shmat(id, NULL, 0);
    if (at == (void *)-1) {
        perror("sysv_shm");
        return;
    }
    sign_pages(at, 16 * page, "shm");
    tell("sysv_shm", "addr=%p size=%zu word=shm", (void *)at, 16 * page);
}

static void map_file(const char *role, const char *path)
{
    int fd = open(path, O_RDWR | O_CREAT, 0644);
    if (fd < 0 || ftruncate(fd, 16 * page))
        fail(path);
    char *at = mmap(NULL, 16 * page, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (at == MAP_FAILED)
        fail(path);
    sign_pages(at, 16 * page, role);
    tell(role, "addr=%p size=%zu word=%s file=%s", (void *)at, 16 * page, role, path);
}

static void mapped_disk(void)
{
    map_file("mapped_disk", "/mnt/data/mapped");
}

static void mapped_tmpfs(void)
{
    map_file("mapped_tmpfs", "/tmp/mapped");
}

static void mem_fd(void)
{
    int fd = memfd_create("kcrash memfd", 0);
    if (fd < 0 || write(fd, "in a memfd", 10) != 10)
        fail("memfd");
}

static void locked(void)
{
    char *at = anonymous(megabyte, 0);
    if (!at || mlock(at, megabyte))
        perror("mlocked");
    tell("mlocked", "addr=%p size=%zu", (void *)at, megabyte);
}

const struct role memory_roles[] = {
    {"swapped", swapped},           {"thp", huge_transparent},     {"hugetlb", huge_tlb},
    {"prot_none", no_access},       {"sysv_shm", shared_memory},   {"mapped_disk", mapped_disk},
    {"mapped_tmpfs", mapped_tmpfs}, {"memfd", mem_fd},             {"mlocked", locked},
    {NULL, NULL},
};
