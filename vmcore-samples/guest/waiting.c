// The roles that wait: one process for each common way to sleep in the kernel, and eight threads in one.
#define _GNU_SOURCE
#include "crowd.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <sys/inotify.h>
#include <sys/ipc.h>
#include <sys/msg.h>
#include <sys/prctl.h>
#include <sys/select.h>
#include <sys/sem.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static void pipe_read(void)
{
    int ends[2];
    char byte;
    if (pipe(ends) || read(ends[0], &byte, 1) < 0)
        fail("pipe_read");
}

static void pipe_write(void)
{
    int ends[2];
    static char block[65536];
    if (pipe(ends))
        fail("pipe_write");
    while (write(ends[1], block, sizeof block) > 0)
        ;
}

static void poll_wait(void)
{
    int ends[2];
    if (pipe(ends))
        fail("poll_wait");
    struct pollfd watched = {.fd = ends[0], .events = POLLIN};
    poll(&watched, 1, -1);
}

static void select_wait(void)
{
    int ends[2];
    if (pipe(ends))
        fail("select_wait");
    fd_set watched;
    FD_ZERO(&watched);
    FD_SET(ends[0], &watched);
    select(ends[0] + 1, &watched, NULL, NULL, NULL);
}

static void epoll_sleep(void)
{
    int ends[2];
    if (pipe(ends))
        fail("epoll_sleep");
    int epoll = epoll_create1(0);
    struct epoll_event event = {.events = EPOLLIN};
    epoll_ctl(epoll, EPOLL_CTL_ADD, ends[0], &event);
    epoll_wait(epoll, &event, 1, -1);
}

static void nano_sleep(void)
{
    struct timespec long_time = {.tv_sec = 100000};
    nanosleep(&long_time, NULL);
}

static void futex_wait(void)
{
    static int word;
    syscall(SYS_futex, &word, FUTEX_WAIT, 0, NULL, NULL, 0);
}

static void sig_wait(void)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGUSR2);
    sigprocmask(SIG_BLOCK, &set, NULL);
    int which;
    sigwait(&set, &which);
}

static void wait_child(void)
{
    if (fork() == 0) {
        prctl(PR_SET_NAME, "waited_for");
        wait_for_ever();
    }
    wait(NULL);
}

// The parent of vfork waits killably for the child's exec, which never comes: state D.
static void vfork_wait(void)
{
    if (vfork() == 0) {
        for (;;)
#ifdef SYS_pause
            syscall(SYS_pause);
#else
            syscall(SYS_ppoll, NULL, 0, NULL, NULL, 0); // newer architectures have no pause
#endif
    }
}

static int tcp_listener(int port)
{
    int fd = socket(AF_INET, SOCK_STREAM, 0), one = 1;
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons(port), .sin_addr = {htonl(INADDR_LOOPBACK)}};
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (bind(fd, (struct sockaddr *)&at, sizeof at) || listen(fd, 5))
        fail("tcp_listener");
    return fd;
}

static void tcp_accept(void)
{
    int fd = tcp_listener(7001);
    accept(fd, NULL, NULL);
}

static void tcp_recv(void)
{
    int fd = tcp_listener(7002), client = socket(AF_INET, SOCK_STREAM, 0);
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(7002), .sin_addr = {htonl(INADDR_LOOPBACK)}};
    char byte;
    if (connect(client, (struct sockaddr *)&to, sizeof to))
        fail("tcp_recv");
    int server = accept(fd, NULL, NULL);
    if (write(client, "unread", 6) != 6)
        fail("tcp_recv");
    recv(client, &byte, 1, 0);
    close(server);
}

static void udp_recv(void)
{
    int fd = socket(AF_INET, SOCK_DGRAM, 0);
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons(7003)};
    char byte;
    if (bind(fd, (struct sockaddr *)&at, sizeof at))
        fail("udp_recv");
    recv(fd, &byte, 1, 0);
}

static void unix_recv(void)
{
    int fd = socket(AF_UNIX, SOCK_DGRAM, 0);
    struct sockaddr_un at = {.sun_family = AF_UNIX, .sun_path = "/run/crowd.sock"};
    char byte;
    if (bind(fd, (struct sockaddr *)&at, sizeof at))
        fail("unix_recv");
    recv(fd, &byte, 1, 0);
}

static void msg_receive(void)
{
    struct { long type; char text[8]; } message;
    int queue = msgget(0x6b637201, IPC_CREAT | 0600);
    if (queue < 0 || msgrcv(queue, &message, sizeof message.text, 0, 0) < 0)
        perror("msg_receive");
}

static void sem_wait_for(void)
{
    struct sembuf take = {.sem_op = -1};
    int set = semget(0x6b637202, 1, IPC_CREAT | 0600);
    if (set < 0 || semop(set, &take, 1) < 0)
        perror("sem_wait");
}

static void flock_wait(void)
{
    int first = open("/run/flock", O_RDWR | O_CREAT, 0600), second = open("/run/flock", O_RDWR);
    flock(first, LOCK_EX);
    flock(second, LOCK_EX);
}

static void posix_lock(void)
{
    int fd = open("/run/posixlock", O_RDWR | O_CREAT, 0600);
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = 100, .l_len = 50};
    fcntl(fd, F_SETLK, &lock);
    if (fork() == 0) {
        prctl(PR_SET_NAME, "posix_locked");
        fcntl(fd, F_SETLKW, &lock);
    }
}

static void inotify_read(void)
{
    char event[512];
    int fd = inotify_init1(0);
    inotify_add_watch(fd, "/dev", IN_DELETE_SELF);
    if (read(fd, event, sizeof event) < 0)
        fail("inotify_read");
}

static void timer_read(void)
{
    unsigned long long expirations;
    struct itimerspec when = {.it_value = {.tv_sec = 90000}};
    int fd = timerfd_create(CLOCK_MONOTONIC, 0);
    timerfd_settime(fd, 0, &when, NULL);
    if (read(fd, &expirations, sizeof expirations) < 0)
        fail("timer_read");
}

static void event_read(void)
{
    unsigned long long count;
    if (read(eventfd(0, 0), &count, sizeof count) < 0)
        fail("event_read");
}

static void signal_read(void)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGUSR2);
    sigprocmask(SIG_BLOCK, &set, NULL);
    struct signalfd_siginfo info;
    if (read(signalfd(-1, &set, 0), &info, sizeof info) < 0)
        fail("signal_read");
}

static void posix_timer(void)
{
    timer_t timer;
    struct sigevent event = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGALRM};
    struct itimerspec when = {.it_value = {.tv_sec = 80000}};
    if (timer_create(CLOCK_REALTIME, &event, &timer))
        fail("posix_timer");
    timer_settime(timer, 0, &when, NULL);
    // A signal that is blocked and pending, for who looks at signals.
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGUSR1);
    sigprocmask(SIG_BLOCK, &set, NULL);
    raise(SIGUSR1);
}

static void *in_thread(void *role)
{
    const struct role *what = role;
    prctl(PR_SET_NAME, what->name);
    what->run();
    wait_for_ever();
}

static const struct role threads[] = {
    {"t_pipe", pipe_read},   {"t_poll", poll_wait},     {"t_epoll", epoll_sleep}, {"t_nanosleep", nano_sleep},
    {"t_futex", futex_wait}, {"t_inotify", inotify_read}, {"t_timerfd", timer_read}, {"t_eventfd", event_read},
};

static void threaded(void)
{
    for (size_t i = 0; i < sizeof threads / sizeof *threads; i++) {
        pthread_t thread;
        if (pthread_create(&thread, NULL, in_thread, (void *)&threads[i]))
            fail("threaded");
    }
    // The main thread waits for a condition, as most servers' do.
    pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
    pthread_cond_t condition = PTHREAD_COND_INITIALIZER;
    pthread_mutex_lock(&mutex);
    pthread_cond_wait(&condition, &mutex);
}

// Its leader has exited, its thread lives on: the group leader is a zombie with a living thread.
static void leaderless(void)
{
    pthread_t thread;
    static const struct role orphan = {"orphan_thread", nano_sleep};
    pthread_create(&thread, NULL, in_thread, (void *)&orphan);
    pthread_exit(NULL);
}

const struct role waiting_roles[] = {
    {"pipe_read", pipe_read},     {"pipe_write", pipe_write},     {"poll_wait", poll_wait},
    {"select_wait", select_wait}, {"epoll_wait", epoll_sleep},    {"nanosleep", nano_sleep},
    {"futex_wait", futex_wait},   {"pause", wait_for_ever},       {"sig_wait", sig_wait},
    {"wait_child", wait_child},   {"vfork_wait", vfork_wait},     {"tcp_accept", tcp_accept},
    {"tcp_recv", tcp_recv},       {"udp_recv", udp_recv},         {"unix_recv", unix_recv},
    {"msg_receive", msg_receive}, {"sem_wait", sem_wait_for},     {"flock_wait", flock_wait},
    {"posix_lock", posix_lock},   {"inotify_read", inotify_read}, {"timerfd_read", timer_read},
    {"eventfd_read", event_read}, {"signalfd_read", signal_read}, {"posix_timer", posix_timer},
    {"threaded", threaded},       {"leaderless", leaderless},     {NULL, NULL},
};
