/*
 * A machine that has started again, without starting it: where the folder that a process runs in holds a file `boot-id`,
 * the process reads that in place of the kernel's. `boots.rs` writes it.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdarg.h>
#include <string.h>
#include <sys/types.h>
#include <unistd.h>

typedef int (*opener)(const char *, int, ...);

static const char *place_of(const char *path) {
    return strcmp(path, "/proc/sys/kernel/random/boot_id") == 0 && access("boot-id", R_OK) == 0 ? "boot-id" : path;
}

/* The mode is there only where a file may be made; reading it otherwise is harmless on every ABI that Debian runs on. */
#define OPENER(name)                                          \
    int name(const char *path, int flags, ...) {              \
        opener real = (opener)dlsym(RTLD_NEXT, #name);        \
        va_list rest;                                         \
        va_start(rest, flags);                                \
        mode_t mode = va_arg(rest, mode_t);                   \
        va_end(rest);                                         \
        return real(place_of(path), flags, mode);             \
    }

OPENER(open)
OPENER(open64)
