// What the files of the crowd share: a role is a name (its comm) and what its process does.
#pragma once

#include <sys/types.h>

struct role {
    const char *name;
    void (*run)(void);
};

// Each list ends with a role without a name.
extern const struct role waiting_roles[];
extern const struct role memory_roles[];
extern const struct role odd_roles[];
extern const struct role spinning_roles[];

_Noreturn void fail(const char *what);
_Noreturn void wait_for_ever(void);

// Writes one line of truth about the calling process.
__attribute__((format(printf, 2, 3))) void tell(const char *role, const char *format, ...);

pid_t spawn(const struct role *role);
