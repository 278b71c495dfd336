// crowd: the processes of the sample guest, one per way of waiting, running or being odd.
//
//     crowd [spinning]     all of them, or only the two that spin
//
// Each role is a child of its own, named after what it waits in. It writes what a debugger should find in it
// to /run/truth/crowd ("role pid=N key=value..."), then waits for ever. The parent makes /run/crowd.ready when
// all have settled. The spinners start when record sends SIGUSR1, so that they do not slow the guest's start.
#define _GNU_SOURCE
#include "crowd.h"

#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

void fail(const char *what)
{
    perror(what);
    _exit(1);
}

void tell(const char *role, const char *format, ...)
{
    char line[512];
    int used = snprintf(line, sizeof line, "%s pid=%d ", role, getpid());
    va_list args;
    va_start(args, format);
    used += vsnprintf(line + used, sizeof line - used - 1, format, args);
    va_end(args);
    line[used++] = '\n';
    int fd = open("/run/truth/crowd", O_WRONLY | O_CREAT | O_APPEND, 0644);
    if (fd < 0 || write(fd, line, used) != used)
        fail("/run/truth/crowd");
    close(fd);
}

void wait_for_ever(void)
{
    for (;;)
        pause();
}

pid_t spawn(const struct role *role)
{
    pid_t pid = fork();
    if (pid < 0)
        fail("fork");
    if (pid == 0) {
        prctl(PR_SET_NAME, role->name);
        role->run();
        wait_for_ever();
    }
    return pid;
}

static void spawn_all(const struct role *roles)
{
    for (; roles->name; roles++)
        spawn(roles);
}

int main(int count, char **args)
{
    const int few = count > 1 && !strcmp(args[1], "spinning");
    if (!few) {
        spawn_all(waiting_roles);
        spawn_all(memory_roles);
        spawn_all(odd_roles);
    }
    spawn_all(spinning_roles);
    sleep(few ? 1 : 4);
    close(open("/run/crowd.ready", O_WRONLY | O_CREAT, 0644));
    wait_for_ever();
}
