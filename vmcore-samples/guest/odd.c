// The roles that are odd: states, schedulers, limits, names and namespaces; and the two that spin.
#define _GNU_SOURCE
#include "crowd.h"

#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static void stopped(void)
{
    raise(SIGSTOP);
}

static void zombie_parent(void)
{
    if (fork() == 0) {
        prctl(PR_SET_NAME, "zombie");
        _exit(3);
    }
}

static void tracer(void)
{
    pid_t child = fork();
    if (child == 0) {
        prctl(PR_SET_NAME, "traced");
        ptrace(PTRACE_TRACEME, 0, NULL, NULL);
        raise(SIGTRAP);
        wait_for_ever();
    }
    waitpid(child, NULL, 0);
}

static void schedule_as(int policy, int priority)
{
    struct sched_param param = {.sched_priority = priority};
    if (sched_setscheduler(0, policy, &param))
        perror("sched_setscheduler");
}

static void fifo(void)
{
    schedule_as(SCHED_FIFO, 42);
}

static void round_robin(void)
{
    schedule_as(SCHED_RR, 7);
}

static void batch(void)
{
    schedule_as(SCHED_BATCH, 0);
}

static void idle_class(void)
{
    schedule_as(SCHED_IDLE, 0);
}

static void deadline(void)
{
    struct {
        unsigned size, policy;
        unsigned long long flags;
        int nice;
        unsigned priority;
        unsigned long long runtime, deadline, period;
    } attr = {.size = 48, .policy = 6, .runtime = 1000000, .deadline = 50000000, .period = 100000000};
    if (syscall(SYS_sched_setattr, 0, &attr, 0))
        perror("sched_setattr");
}

static void niced(void)
{
    setpriority(PRIO_PROCESS, 0, 12);
}

static void favoured(void)
{
    setpriority(PRIO_PROCESS, 0, -15);
}

static void limits(void)
{
    struct rlimit files = {1234, 5678}, core = {RLIM_INFINITY, RLIM_INFINITY}, stack = {1 << 20, 64 << 20};
    setrlimit(RLIMIT_NOFILE, &files);
    setrlimit(RLIMIT_CORE, &core);
    setrlimit(RLIMIT_STACK, &stack);
}

// A comm that would turn the terminal red if printed raw; it also rings the bell.
static void escape(void)
{
    prctl(PR_SET_NAME, "\033[31mred\a");
    tell("escape", "comm=\\033[31mred\\a");
}

static void other_user(void)
{
    if (setgid(1234) || setuid(4321))
        perror("other_user");
}

static void many_files(void)
{
    char path[64];
    for (int i = 0; i < 100; i++) {
        snprintf(path, sizeof path, "/tmp/many/%d", i);
        open(path, O_RDWR | O_CREAT, 0600);
    }
    int gone = open("/mnt/data/deleted", O_RDWR | O_CREAT, 0600);
    if (gone < 0 || write(gone, "still here", 10) != 10)
        perror("deleted");
    unlink("/mnt/data/deleted");
    if (chdir("/mnt/data"))
        perror("chdir");
}

static void namespaces(void)
{
    if (unshare(CLONE_NEWPID | CLONE_NEWUTS | CLONE_NEWNS | CLONE_NEWNET | CLONE_NEWIPC)) {
        perror("unshare");
        return;
    }
    if (sethostname("inner", 5))
        perror("sethostname");
    mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL);
    mount("inner", "/mnt", "tmpfs", 0, "size=1m");
    pid_t child = fork();
    if (child == 0) {
        prctl(PR_SET_NAME, "ns_init");
        if (fork() == 0)
            prctl(PR_SET_NAME, "ns_child");
        wait_for_ever();
    }
    tell("namespaces", "init=%d", child);
}

// Writes to a filesystem that init froze: waits without a way to be woken, state D.
static void frozen_write(void)
{
    for (int tries = 0; tries < 100 && access("/run/frozen", F_OK); tries++)
        usleep(100000);
    if (open("/mnt/loop/file", O_RDWR | O_CREAT, 0600) < 0)
        perror("frozen_write");
}

static void on_cpu(int cpu)
{
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET(cpu, &set);
    sched_setaffinity(0, sizeof set, &set);
}

static void started(int signal)
{
    (void)signal;
}

static void wait_for_start(const char *role, int cpu)
{
    sigset_t set, before;
    sigemptyset(&set);
    sigaddset(&set, SIGUSR1);
    sigprocmask(SIG_BLOCK, &set, &before);
    struct sigaction action = {.sa_handler = started};
    sigaction(SIGUSR1, &action, NULL);
    char path[64];
    snprintf(path, sizeof path, "/run/spinner.%d", getpid());
    close(open(path, O_WRONLY | O_CREAT, 0600));
    tell(role, "cpu=%d", cpu);
    sigsuspend(&before);
    on_cpu(cpu);
}

static void spin_user(void)
{
    wait_for_start("spin_user", 1);
    for (volatile unsigned long turns = 0;; turns++)
        ;
}

static void spin_kernel(void)
{
    const size_t size = 16 << 20;
    char *at = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
    int zero = open("/dev/zero", O_RDONLY);
    wait_for_start("spin_kernel", 2);
    while (read(zero, at, size) > 0)
        ;
}

const struct role odd_roles[] = {
    {"stopped", stopped},       {"zombie_parent", zombie_parent}, {"tracer", tracer},       {"fifo", fifo},
    {"round_robin", round_robin}, {"batch", batch},               {"idle_class", idle_class}, {"deadline", deadline},
    {"niced", niced},           {"favoured", favoured},           {"limits", limits},       {"escape", escape},
    {"other_user", other_user}, {"many_files", many_files},       {"namespaces", namespaces},
    {"frozen_write", frozen_write}, {NULL, NULL},
};

const struct role spinning_roles[] = {
    {"spin_user", spin_user}, {"spin_kernel", spin_kernel}, {NULL, NULL},
};
