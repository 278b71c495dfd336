// record: writes down what the guest says of itself, then lets it die.
//
//     record DEVICE sysrq|irq|nmi|break|kdump_nmi|alone|WAY      WAY is one of those of dying/dying.c
//
// The truth goes to DEVICE (a raw disk) as a ustar archive, written around the page cache so that writing moves as
// little as it can. Order matters: what stands still comes first (kallsyms, modules, sysctls), with a first copy of
// what moves under early/; then the console gets sysrq-t, -w and -m; then the spinners start, sysrq-l shows them, and each task is copied; at
// the very end the counters. What differs between early/ and the last copy is what time moves.
#define _GNU_SOURCE
#include "archive.h"

#include <dirent.h>
#include <fcntl.h>
#include <linux/membarrier.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

static const char *const still[] = {
    "/proc/version",     "/proc/cmdline",    "/proc/cpuinfo",     "/proc/modules",     "/proc/mounts",
    "/proc/filesystems", "/proc/devices",    "/proc/misc",        "/proc/consoles",    "/proc/iomem",
    "/proc/ioports",     "/proc/partitions", "/proc/kallsyms",    "/proc/dma",         "/proc/execdomains",
    "/proc/crypto",      "/proc/locks",      "/proc/swaps",       "/proc/cgroups",     "/sys/kernel/vmcoreinfo",
    "/sys/kernel/notes", "/proc/mtrr",       "/proc/bus/pci/devices", "/sys/kernel/kexec_crash_loaded",
    "/sys/kernel/kexec_crash_size", "/sys/devices/system/cpu/online", "/sys/devices/system/cpu/possible",
    "/sys/devices/system/cpu/present", "/sys/kernel/mm/transparent_hugepage/enabled",
    "/sys/devices/system/clocksource/clocksource0/current_clocksource", NULL,
};

static const char *const moving[] = {
    "/proc/vmallocinfo", "/proc/pagetypeinfo", "/proc/interrupts", "/proc/softirqs",  "/proc/timer_list",
    "/proc/schedstat",   "/sys/kernel/debug/sched/debug", "/proc/diskstats", "/proc/stat", "/proc/loadavg",
    "/proc/zoneinfo",    "/proc/buddyinfo",    "/proc/slabinfo",   "/proc/vmstat",    "/proc/meminfo",
    "/proc/uptime",      NULL,
};

static const char *const task_files[] = {
    "stat", "status", "statm", "comm", "stack", "wchan", "sched", "syscall", "schedstat", "cgroup", NULL,
};

static const char *const process_files[] = {
    "cmdline", "environ", "maps", "smaps_rollup", "limits", "io", "mountinfo", "oom_score_adj", "auxv", "timers", NULL,
};

static const char *const links[] = {"exe", "cwd", "root", NULL};

static void copy_list(const char *prefix, const char *const *paths)
{
    for (; *paths; paths++)
        archive_copy(prefix, *paths);
}

static int is_number(const char *name)
{
    return *name >= '0' && *name <= '9';
}

// Calls what for each entry of a folder but . and ..
static void each_entry(const char *folder, void (*what)(const char *folder, const char *name))
{
    DIR *dir = opendir(folder);
    if (!dir)
        return;
    for (struct dirent *entry; (entry = readdir(dir));)
        if (strcmp(entry->d_name, ".") && strcmp(entry->d_name, ".."))
            what(folder, entry->d_name);
    closedir(dir);
}

static void copy_in(const char *folder, const char *name)
{
    char path[512];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    archive_copy("", path);
}

// Files of a tree that can be read; links are not followed.
static void copy_tree(const char *folder, const char *name)
{
    char path[512];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    if (archive_is_folder(path))
        each_entry(path, copy_tree);
    else
        archive_copy("", path);
}

static void copy_module(const char *folder, const char *name)
{
    static const char *const parts[] = {"coresize", "initsize", "initstate", "refcnt", "taint", "srcversion", NULL};
    char path[400];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    for (const char *const *part = parts; *part; part++)
        copy_in(path, *part);
    copy_tree(path, "sections");
    copy_tree(path, "notes");
    copy_tree(path, "holders");
}

static void copy_slab(const char *folder, const char *name)
{
    static const char *const parts[] = {"object_size", "slab_size", "objs_per_slab", "order",   "align",
                                        "cpu_partial", "partial",   "cpu_slabs",     "objects", "objects_partial",
                                        "slabs",       "total_objects", "slabs_cpu_partial", "aliases", NULL};
    char path[400];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    for (const char *const *part = parts; *part; part++)
        copy_in(path, *part);
}

static void copy_link(const char *folder, const char *name)
{
    char path[400], target[400];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    ssize_t length = readlink(path, target, sizeof target);
    if (length > 0)
        archive_add("", path, target, length);
}

static void copy_thread(const char *folder, const char *name)
{
    char path[400];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    for (const char *const *file = task_files; *file; file++)
        copy_in(path, *file);
}

static void copy_process(const char *folder, const char *name)
{
    if (!is_number(name))
        return;
    char path[400], below[420];
    copy_thread(folder, name);
    snprintf(path, sizeof path, "%s/%s", folder, name);
    for (const char *const *file = process_files; *file; file++)
        copy_in(path, *file);
    for (const char *const *link = links; *link; link++)
        copy_link(path, *link);
    snprintf(below, sizeof below, "%s/fd", path);
    each_entry(below, copy_link);
    snprintf(below, sizeof below, "%s/fdinfo", path);
    each_entry(below, copy_in);
    snprintf(below, sizeof below, "%s/ns", path);
    each_entry(below, copy_link);
    snprintf(below, sizeof below, "%s/task", path);
    each_entry(below, copy_thread);
    archive_pagemap(path);
}

static void early_process(const char *folder, const char *name)
{
    char path[400];
    if (!is_number(name))
        return;
    static const char *const parts[] = {"stat", "status", "stack", "sched", NULL};
    for (const char *const *part = parts; *part; part++) {
        snprintf(path, sizeof path, "%s/%s/%s", folder, name, *part);
        archive_copy("early/", path);
    }
}

static void start_spinner(const char *folder, const char *name)
{
    (void)folder;
    if (!strncmp(name, "spinner.", 8))
        kill(atoi(name + 8), SIGUSR1);
}

static void sysrq(char key)
{
    int fd = open("/proc/sysrq-trigger", O_WRONLY);
    if (fd < 0 || write(fd, &key, 1) != 1)
        perror("/proc/sysrq-trigger");
    close(fd);
}

static void what_stands_still(void)
{
    copy_list("", still);
    each_entry("/run/truth", copy_in);
    each_entry("/sys/module", copy_module);
    copy_tree("/proc/sys", "kernel");
    copy_tree("/proc/sys", "vm");
    copy_tree("/proc", "sysvipc");
    copy_tree("/proc", "driver");
    copy_list("early/", moving);
    each_entry("/proc", early_process);
}

// How many objects all slab caches have in use.
static unsigned long objects_in_use(void)
{
    char line[512];
    unsigned long sum = 0, active;
    FILE *file = fopen("/proc/slabinfo", "r");
    while (file && fgets(line, sizeof line, file))
        if (sscanf(line, "%*s %lu", &active) == 1)
            sum += active;
    if (file)
        fclose(file);
    return sum;
}

// Files that were opened for recording are freed after a grace period of RCU, on a slow host thousands at once and seconds
// later. Waits, 20 s at most, until what is in use no longer falls by more than a hundredth.
static void wait_for_frees(void)
{
    unsigned long before = objects_in_use();
    for (int tries = 0, quiet = 0; tries < 40 && quiet < 4; tries++) {
        syscall(SYS_membarrier, MEMBARRIER_CMD_GLOBAL, 0, 0);
        usleep(500000);
        unsigned long now = objects_in_use();
        quiet = now + before / 100 < before ? 0 : quiet + 1;
        before = now;
    }
}

static void what_moves(void)
{
    each_entry("/proc", copy_process);
    copy_tree("/proc/self", "net");
    each_entry("/sys/kernel/slab", copy_slab);
    archive_flush();
    wait_for_frees();
    archive_kmsg();
    copy_list("", moving);
}

// A way of the module's: its write does not return, or kills another task while this one waits.
static void die_in_module(const char *way)
{
    int fd = open("/proc/dying", O_WRONLY);
    if (fd < 0 || write(fd, way, strlen(way)) < 0)
        perror("/proc/dying");
    close(fd);
}

static int is_host_to_kill(const char *how)
{
    static const char *const ways[] = {"irq", "nmi", "break", "kdump_nmi", NULL};
    for (const char *const *way = ways; *way; way++)
        if (!strcmp(how, *way))
            return 1;
    return 0;
}

// The host may have to send an interrupt: stay in the kernel until it comes. Else here and now.
_Noreturn static void die(const char *how)
{
    if (!strcmp(how, "sysrq") || !strcmp(how, "alone"))
        sysrq('c');
    if (!is_host_to_kill(how))
        die_in_module(how);
    static char block[1 << 20];
    int console = open("/dev/second", O_WRONLY), zero = open("/dev/zero", O_RDONLY);
    if (write(console, "ready to die\n", 13) != 13)
        perror("/dev/second");
    for (;;)
        if (read(zero, block, sizeof block) < 0)
            _exit(1);
}

int main(int count, char **args)
{
    if (count != 3) {
        fprintf(stderr, "usage: record DEVICE WAY\n");
        return 2;
    }
    cpu_set_t first;
    CPU_ZERO(&first);
    CPU_SET(0, &first);
    sched_setaffinity(0, sizeof first, &first);
    archive_open(args[1]);
    what_stands_still();
    archive_flush();
    for (const char *key = "twm"; *key; key++)
        sysrq(*key);
    each_entry("/run", start_spinner);
    usleep(300000);
    sysrq('l');
    what_moves();
    archive_flush();
    die(args[2]);
}
