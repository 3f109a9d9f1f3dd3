/*
 * A disk that forgets: preloaded into a process, it keeps a journal of how to take back every change below one folder
 * that was not synced, and makes writes and syncs fail or wait on demand. `powercut.rs` plays the journal backwards
 * after the process was killed. docs/adr/0008-power-cuts-by-undo.md says why it is made this way.
 *
 * What it promises. The journal holds what undoes a change before the change is made, so that a kill between the two
 * loses nothing: undoing what never happened changes nothing. A commit is journalled after a sync was answered by
 * nobody yet, so that what was acknowledged is never undone. Changes and their records are made under one lock.
 *
 * What it does not see: stdio (`fopen`), shared mappings that are written, io_uring, processes that were forked.
 * The product uses none of them for data. `sync_file_range` makes nothing durable, as its manual page says.
 *
 * Environment: SHIM_FOLDER, what is tracked (its subfolders are the nodes); SHIM_JOURNAL, where the journals go, on the
 * same file system; SHIM_ONLY, words that must stand in the command line for the shim to act; SHIM_RULES, a file with
 * one rule a line, read again whenever it was replaced:
 *
 *   fail ERRNO write|sync TEXT       calls on paths that hold TEXT fail with that number
 *   delay MICROSECONDS write|sync TEXT
 *   ignore-sync                      syncs are answered as done and make nothing durable
 *   kill N before|after TEXT         ends the process at its Nth change or sync on paths that hold TEXT
 *   trace                            notes the path of every change and sync in NODE.trace beside the journals
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/falloc.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <unistd.h>

/* The journal. `powercut.rs` reads the same layout: this header, then `name`, `other_name` and `data`. */
enum kind { CHANGE = 1, CREATE = 2, MKDIR = 3, UNLINK = 4, RMDIR = 5, RENAME = 6, COMMIT = 7 };

struct record {
    uint32_t kind;
    uint32_t name_bytes;
    uint32_t other_name_bytes;
    uint32_t zero;
    uint64_t inode;    /* of the file that changes, or of the folder whose entries change */
    uint64_t other;    /* RENAME: the folder moved to */
    uint64_t subject;  /* RENAME, RMDIR: what was moved or removed */
    uint64_t saved;    /* UNLINK, RENAME: number of the kept name of what went away, or 0 */
    uint64_t offset;   /* CHANGE: the bytes from here ... */
    uint64_t length;   /* ... so many ... */
    uint64_t old_size; /* ... of a file of this size, which ... */
    uint64_t new_size; /* ... now has that one; `data` is what stood there */
    uint64_t data_bytes;
};

struct tracked {
    char *path;
    uint64_t inode;
    dev_t device;
    int flags;
};

enum { DESCRIPTORS = 65536, RULES = 64 };

struct rule {
    int error;
    unsigned delay;
    int on_sync;
    unsigned kill_at; /* 0 where the rule kills nobody */
    unsigned seen;
    int kills_after;
    char text[256];
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_once_t once = PTHREAD_ONCE_INIT;
static int active;
static char folder[PATH_MAX], journals[PATH_MAX], rules_path[PATH_MAX];
static size_t folder_bytes;
static int journal = -1;
static char node[NAME_MAX + 1];
static uint64_t saved_count;
static unsigned journal_number;
static struct tracked *files[DESCRIPTORS];
static struct rule rules[RULES];
static int rule_count, ignores_sync, traces, dies;
static struct timespec rules_time;
static ino_t rules_inode;

static void die(const char *what) {
    dprintf(2, "shim: %s: %s\n", what, strerror(errno));
    abort();
}

/* ---- set-up ---- */

static int command_line_holds(const char *words) {
    char line[65536];
    long file = syscall(SYS_openat, AT_FDCWD, "/proc/self/cmdline", O_RDONLY);
    long length = syscall(SYS_read, file, line, sizeof line - 1);
    syscall(SYS_close, file);
    if (length <= 0)
        return 0;
    for (long i = 0; i < length - 1; i++)
        if (line[i] == 0)
            line[i] = ' ';
    line[length] = 0;
    return strstr(line, words) != NULL;
}

static void set_up(void) {
    const char *tracked_folder = getenv("SHIM_FOLDER"), *to = getenv("SHIM_JOURNAL");
    const char *only = getenv("SHIM_ONLY"), *rules_file = getenv("SHIM_RULES");
    if (!tracked_folder || !to || !realpath(tracked_folder, folder) || !realpath(to, journals))
        return;
    if (only && !command_line_holds(only))
        return;
    folder_bytes = strlen(folder);
    if (rules_file)
        snprintf(rules_path, sizeof rules_path, "%s", rules_file);
    active = 1;
}

static int is_active(void) {
    pthread_once(&once, set_up);
    return active;
}

/* The journal of the node whose files are touched: the first folder below the tracked one names it. */
static void open_journal(const char *path) {
    if (journal >= 0)
        return;
    const char *name = path + folder_bytes + 1;
    size_t bytes = strcspn(name, "/");
    memcpy(node, name, bytes);
    node[bytes] = 0;
    for (journal_number = 1; journal < 0; journal_number++) {
        char to[PATH_MAX + NAME_MAX + 32];
        snprintf(to, sizeof to, "%s/%s-%06u.journal", journals, node, journal_number);
        journal = (int)syscall(SYS_openat, AT_FDCWD, to, O_WRONLY | O_CREAT | O_EXCL | O_APPEND | O_CLOEXEC, 0600);
        if (journal < 0 && errno != EEXIST)
            die("open the journal");
    }
    journal_number--;
}

/* ---- paths ---- */

/* The absolute path of `name`, its folder resolved; whether it is below the tracked folder. */
static int resolve(int at, const char *name, char *out) {
    char whole[2 * PATH_MAX], parent[2 * PATH_MAX], resolved[PATH_MAX];
    if (name[0] == '/') {
        snprintf(whole, sizeof whole, "%s", name);
    } else {
        char base[PATH_MAX];
        if (at == AT_FDCWD) {
            if (!getcwd(base, sizeof base))
                return 0;
        } else {
            char link[64];
            snprintf(link, sizeof link, "/proc/self/fd/%d", at);
            ssize_t length = readlink(link, base, sizeof base - 1);
            if (length <= 0)
                return 0;
            base[length] = 0;
        }
        snprintf(whole, sizeof whole, "%s/%s", base, name);
    }
    size_t length = strlen(whole);
    while (length > 1 && whole[length - 1] == '/')
        whole[--length] = 0;
    strcpy(parent, whole);
    char *slash = strrchr(parent, '/');
    if (!slash)
        return 0;
    const char *last = whole + (slash - parent) + 1;
    *(slash == parent ? slash + 1 : slash) = 0;
    if (!realpath(parent, resolved))
        return 0;
    if (strcmp(last, ".") == 0 || strcmp(last, "..") == 0) {
        if (!realpath(whole, out))
            return 0;
    } else if (snprintf(out, PATH_MAX, "%s/%s", strcmp(resolved, "/") ? resolved : "", last) >= PATH_MAX) {
        return 0;
    }
    return strncmp(out, folder, folder_bytes) == 0 && out[folder_bytes] == '/';
}

static const char *last_name(const char *path) { return strrchr(path, '/') + 1; }

static uint64_t inode_of(const char *path) {
    struct stat found;
    return lstat(path, &found) == 0 ? found.st_ino : 0;
}

static uint64_t parent_inode(const char *path) {
    char parent[PATH_MAX];
    strcpy(parent, path);
    *strrchr(parent, '/') = 0;
    return inode_of(parent);
}

/* ---- the journal ---- */

static void append(struct record *record, const char *name, const char *other_name, const void *data) {
    record->name_bytes = name ? (uint32_t)strlen(name) : 0;
    record->other_name_bytes = other_name ? (uint32_t)strlen(other_name) : 0;
    struct iovec parts[4] = {
        { record, sizeof *record },
        { (void *)name, record->name_bytes },
        { (void *)other_name, record->other_name_bytes },
        { (void *)data, record->data_bytes },
    };
    size_t total = 0;
    for (int i = 0; i < 4; i++)
        total += parts[i].iov_len;
    if (syscall(SYS_writev, journal, parts, 4) != (long)total)
        die("write the journal");
}

static void commit(uint64_t inode) {
    struct record record = { .kind = COMMIT, .inode = inode };
    append(&record, NULL, NULL, NULL);
}

/* Records that `length` bytes from `offset` change and that the size becomes `new_size`. */
static void will_change(int fd, const struct tracked *file, uint64_t old_size, uint64_t offset, uint64_t length,
                        uint64_t new_size) {
    struct record record = { .kind = CHANGE, .inode = file->inode, .offset = offset, .length = length,
                             .old_size = old_size, .new_size = new_size };
    char *old = NULL;
    if (offset < old_size && length > 0) {
        uint64_t end = offset + length < old_size ? offset + length : old_size;
        char link[64];
        snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
        int reader = (int)syscall(SYS_openat, AT_FDCWD, link, O_RDONLY | O_CLOEXEC);
        if (reader < 0)
            die("open what is overwritten");
        old = malloc(end - offset);
        if (!old)
            die("memory");
        while (record.data_bytes < end - offset) {
            long got = syscall(SYS_pread64, reader, old + record.data_bytes, end - offset - record.data_bytes,
                               offset + record.data_bytes);
            if (got <= 0)
                die("read what is overwritten");
            record.data_bytes += (uint64_t)got;
        }
        syscall(SYS_close, reader);
    }
    append(&record, NULL, NULL, old);
    free(old);
}

static uint64_t size_of(int fd) {
    struct stat found;
    if (fstat(fd, &found) != 0)
        die("look at a file");
    return (uint64_t)found.st_size;
}

/* Gives what is about to lose its name another one beside the journals; 0 where there is nothing. */
static uint64_t save(const char *path) {
    char to[PATH_MAX + NAME_MAX + 64];
    struct stat found;
    if (lstat(path, &found) != 0 || !S_ISREG(found.st_mode))
        return 0;
    uint64_t number = ((uint64_t)journal_number << 32) | ++saved_count;
    snprintf(to, sizeof to, "%s/%s-%llu.saved", journals, node, (unsigned long long)number);
    if (syscall(SYS_linkat, AT_FDCWD, path, AT_FDCWD, to, 0) != 0)
        die("keep what is unlinked");
    return number;
}

/* ---- rules ---- */

static void read_rules(void) {
    struct stat found;
    if (!rules_path[0])
        return;
    if (stat(rules_path, &found) != 0) {
        rule_count = ignores_sync = traces = 0;
        rules_inode = 0;
        return;
    }
    if (found.st_ino == rules_inode && !memcmp(&found.st_mtim, &rules_time, sizeof rules_time))
        return;
    rules_inode = found.st_ino;
    rules_time = found.st_mtim;
    rule_count = ignores_sync = traces = 0;
    char text[8192], *rest = text;
    long file = syscall(SYS_openat, AT_FDCWD, rules_path, O_RDONLY | O_CLOEXEC);
    long length = file < 0 ? -1 : syscall(SYS_read, file, text, sizeof text - 1);
    if (file >= 0)
        syscall(SYS_close, file);
    text[length > 0 ? length : 0] = 0;
    for (char *line; (line = strsep(&rest, "\n")) && rule_count < RULES;) {
        struct rule rule = { 0 };
        unsigned number;
        char verb[8], on[8];
        if (!strcmp(line, "ignore-sync")) {
            ignores_sync = 1;
        } else if (!strcmp(line, "trace")) {
            traces = 1;
        } else if (sscanf(line, "%7s %u %7s %255[^\n]", verb, &number, on, rule.text) == 4) {
            if (!strcmp(verb, "fail"))
                rule.error = (int)number;
            else
                *(strcmp(verb, "kill") ? &rule.delay : &rule.kill_at) = number;
            rule.on_sync = !strcmp(on, "sync");
            rule.kills_after = !strcmp(on, "after");
            rules[rule_count++] = rule;
        } else if (line[0]) {
            errno = EINVAL;
            die(line);
        }
    }
}

static void note(const char *path) {
    char to[PATH_MAX + NAME_MAX + 16], line[PATH_MAX + 1];
    snprintf(to, sizeof to, "%s/%s.trace", journals, node);
    int length = snprintf(line, sizeof line, "%s\n", path);
    long file = syscall(SYS_openat, AT_FDCWD, to, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    if (file < 0 || syscall(SYS_write, file, line, length) != length)
        die("write the trace");
    syscall(SYS_close, file);
}

static void end_here(void) {
    syscall(SYS_kill, getpid(), SIGKILL);
    for (;;)
        pause();
}

/* Ends the process where a rule counted this change or sync, and leaves one that ends after it to `leave`. */
static void count(const char *path) {
    if (traces)
        note(path);
    for (int i = 0; i < rule_count; i++) {
        struct rule *rule = &rules[i];
        if (!rule->kill_at || !strstr(path, rule->text) || ++rule->seen != rule->kill_at)
            continue;
        if (!rule->kills_after)
            end_here();
        dies = 1;
    }
}

/* Gives the lock back once the change or sync is made. */
static void leave(void) {
    if (dies)
        end_here();
    pthread_mutex_unlock(&lock);
}

/* Waits as the rules say; whether the call shall fail, with `errno` set. Called under the lock. No disk is too full for
   what gives room back. */
static int refuses_call(const char *path, int on_sync, int takes_room) {
    read_rules();
    for (int i = 0; i < rule_count; i++) {
        struct rule rule = rules[i];
        if (rule.kill_at || rule.on_sync != on_sync || !strstr(path, rule.text))
            continue;
        if (rule.delay) {
            pthread_mutex_unlock(&lock);
            usleep(rule.delay);
            pthread_mutex_lock(&lock);
        }
        if (rule.error && (takes_room || rule.error != ENOSPC)) {
            errno = rule.error;
            return 1;
        }
    }
    count(path);
    return 0;
}

static int refuses(const char *path, int on_sync) { return refuses_call(path, on_sync, 1); }

/* ---- descriptors ---- */

static struct tracked *tracked(int fd) { return fd >= 0 && fd < DESCRIPTORS ? files[fd] : NULL; }

static void track(int fd, const char *path, int flags) {
    struct stat found;
    if (fd < 0 || fd >= DESCRIPTORS || fstat(fd, &found) != 0)
        return;
    struct tracked *file = malloc(sizeof *file);
    if (!file || !(file->path = strdup(path)))
        die("memory");
    file->inode = found.st_ino;
    file->device = found.st_dev;
    file->flags = flags;
    files[fd] = file;
}

static void forget(int fd) {
    struct tracked *file = tracked(fd);
    if (file) {
        files[fd] = NULL;
        free(file->path);
        free(file);
    }
}

/* What the descriptor is now. One that was closed behind our back is forgotten: its number may be a socket's by now, and
   its inode another file's. Called under the lock. */
static struct tracked *current(int fd) {
    struct tracked *file = tracked(fd);
    struct stat found;
    if (file && (fstat(fd, &found) != 0 || found.st_ino != file->inode || found.st_dev != file->device)) {
        forget(fd);
        file = NULL;
    }
    return file;
}

static int do_open(int at, const char *name, int flags, mode_t mode) {
    char path[PATH_MAX];
    if (!is_active() || (flags & O_PATH) || !resolve(at, name, path))
        return (int)syscall(SYS_openat, at, name, flags, mode);
    pthread_mutex_lock(&lock);
    open_journal(path);
    struct stat before;
    int was_there = stat(path, &before) == 0;
    int writes = (flags & O_ACCMODE) != O_RDONLY;
    int creates = (flags & O_CREAT) && !was_there && (flags & O_TMPFILE) != O_TMPFILE;
    int fd = -1;
    if ((creates || (writes && (flags & O_TRUNC))) && refuses(path, 0))
        goto done;
    if (creates) {
        struct record record = { .kind = CREATE, .inode = parent_inode(path) };
        append(&record, last_name(path), NULL, NULL);
    }
    /* Opened without truncation first: what is cut off is read through the descriptor. */
    fd = (int)syscall(SYS_openat, at, name, flags & ~(was_there ? O_TRUNC : 0), mode);
    if (fd < 0)
        goto done;
    track(fd, path, flags);
    /* An inode may be one that was used before, of which the journal still speaks. */
    if (creates)
        commit(tracked(fd)->inode);
    if (was_there && writes && (flags & O_TRUNC) && S_ISREG(before.st_mode)) {
        uint64_t size = size_of(fd);
        will_change(fd, tracked(fd), size, 0, size, 0);
        if (syscall(SYS_ftruncate, fd, 0) != 0)
            die("truncate");
    }
done:
    leave();
    return fd;
}

#define OPEN_MODE(flags, mode)                                                                                         \
    mode_t mode = 0;                                                                                                   \
    if (((flags) & O_CREAT) || ((flags) & O_TMPFILE) == O_TMPFILE) {                                                   \
        va_list rest;                                                                                                  \
        va_start(rest, flags);                                                                                         \
        mode = va_arg(rest, mode_t);                                                                                   \
        va_end(rest);                                                                                                  \
    }

int open(const char *name, int flags, ...) {
    OPEN_MODE(flags, mode)
    return do_open(AT_FDCWD, name, flags, mode);
}
int open64(const char *name, int flags, ...) {
    OPEN_MODE(flags, mode)
    return do_open(AT_FDCWD, name, flags, mode);
}
int openat(int at, const char *name, int flags, ...) {
    OPEN_MODE(flags, mode)
    return do_open(at, name, flags, mode);
}
int openat64(int at, const char *name, int flags, ...) {
    OPEN_MODE(flags, mode)
    return do_open(at, name, flags, mode);
}
int creat(const char *name, mode_t mode) { return do_open(AT_FDCWD, name, O_WRONLY | O_CREAT | O_TRUNC, mode); }
int creat64(const char *name, mode_t mode) { return creat(name, mode); }

int close(int fd) {
    if (!tracked(fd))
        return (int)syscall(SYS_close, fd);
    pthread_mutex_lock(&lock);
    forget(fd);
    int result = (int)syscall(SYS_close, fd);
    leave();
    return result;
}

/* The C library closes what a listing reads from without asking `close`. */
int closedir(DIR *listing) {
    int (*close_listing)(DIR *) = (int (*)(DIR *))dlsym(RTLD_NEXT, "closedir");
    if (!close_listing)
        die("find closedir");
    if (!tracked(dirfd(listing)))
        return close_listing(listing);
    pthread_mutex_lock(&lock);
    forget(dirfd(listing));
    int result = close_listing(listing);
    leave();
    return result;
}

static int also_track(int fd, int copy) {
    if (copy >= 0 && tracked(fd)) {
        pthread_mutex_lock(&lock);
        track(copy, files[fd]->path, files[fd]->flags);
        leave();
    }
    return copy;
}

int dup(int fd) { return also_track(fd, (int)syscall(SYS_dup, fd)); }

static int do_fcntl(int fd, int command, long argument) {
    int result = (int)syscall(SYS_fcntl, fd, command, argument);
    return command == F_DUPFD || command == F_DUPFD_CLOEXEC ? also_track(fd, result) : result;
}

int fcntl(int fd, int command, ...) {
    va_list rest;
    va_start(rest, command);
    long argument = va_arg(rest, long);
    va_end(rest);
    return do_fcntl(fd, command, argument);
}
int fcntl64(int fd, int command, ...) {
    va_list rest;
    va_start(rest, command);
    long argument = va_arg(rest, long);
    va_end(rest);
    return do_fcntl(fd, command, argument);
}

/* ---- contents ---- */

/* All writing comes here. `offset` is -1 where the descriptor's position counts. */
static ssize_t do_write(int fd, const struct iovec *parts, int count, off_t offset) {
    pthread_mutex_lock(&lock);
    ssize_t result = -1;
    struct tracked *file = current(fd);
    if (!file) {
        pthread_mutex_unlock(&lock);
        return offset < 0 ? syscall(SYS_writev, fd, parts, count) : syscall(SYS_pwritev, fd, parts, count, offset, 0);
    }
    if (refuses(file->path, 0) || !(file = current(fd)))
        goto done;
    uint64_t length = 0, size = size_of(fd), at;
    for (int i = 0; i < count; i++)
        length += parts[i].iov_len;
    if (file->flags & O_APPEND)
        at = size;
    else if (offset >= 0)
        at = (uint64_t)offset;
    else
        at = (uint64_t)syscall(SYS_lseek, fd, 0, SEEK_CUR);
    /* A gap that a write leaves behind the old end reads as zeros, and is part of the change. */
    uint64_t from = at < size ? at : size;
    will_change(fd, file, size, from, at + length - from, at + length > size ? at + length : size);
    result = offset < 0 ? syscall(SYS_writev, fd, parts, count) : syscall(SYS_pwritev, fd, parts, count, offset, 0);
    if (result >= 0 && (file->flags & O_DSYNC) && !ignores_sync)
        commit(file->inode);
done:
    leave();
    return result;
}

ssize_t write(int fd, const void *bytes, size_t length) {
    if (!tracked(fd))
        return syscall(SYS_write, fd, bytes, length);
    struct iovec part = { (void *)bytes, length };
    return do_write(fd, &part, 1, -1);
}
ssize_t writev(int fd, const struct iovec *parts, int count) {
    return tracked(fd) ? do_write(fd, parts, count, -1) : syscall(SYS_writev, fd, parts, count);
}
ssize_t pwrite64(int fd, const void *bytes, size_t length, off_t offset) {
    if (!tracked(fd))
        return syscall(SYS_pwrite64, fd, bytes, length, offset);
    struct iovec part = { (void *)bytes, length };
    return do_write(fd, &part, 1, offset);
}
ssize_t pwrite(int fd, const void *bytes, size_t length, off_t offset) { return pwrite64(fd, bytes, length, offset); }
ssize_t pwritev64(int fd, const struct iovec *parts, int count, off_t offset) {
    return tracked(fd) ? do_write(fd, parts, count, offset) : syscall(SYS_pwritev, fd, parts, count, offset, 0);
}
ssize_t pwritev(int fd, const struct iovec *parts, int count, off_t offset) {
    return pwritev64(fd, parts, count, offset);
}

/* Copies within the kernel are refused as if it knew none: callers then read and write. */
ssize_t copy_file_range(int from, off_t *from_at, int to, off_t *to_at, size_t length, unsigned flags) {
    if (tracked(to)) {
        errno = ENOSYS;
        return -1;
    }
    return syscall(SYS_copy_file_range, from, from_at, to, to_at, length, flags);
}
ssize_t sendfile64(int to, int from, off_t *from_at, size_t length) {
    if (tracked(to)) {
        errno = EINVAL;
        return -1;
    }
    return syscall(SYS_sendfile, to, from, from_at, length);
}
ssize_t sendfile(int to, int from, off_t *from_at, size_t length) { return sendfile64(to, from, from_at, length); }

int ftruncate64(int fd, off_t length) {
    if (!tracked(fd))
        return (int)syscall(SYS_ftruncate, fd, length);
    pthread_mutex_lock(&lock);
    int result = -1;
    struct tracked *file = current(fd);
    if (!file) {
        pthread_mutex_unlock(&lock);
        return (int)syscall(SYS_ftruncate, fd, length);
    }
    if (!refuses_call(file->path, 0, (uint64_t)length > size_of(fd)) && (file = current(fd))) {
        uint64_t size = size_of(fd), to = (uint64_t)length, from = to < size ? to : size;
        will_change(fd, file, size, from, (to < size ? size : to) - from, to);
        result = (int)syscall(SYS_ftruncate, fd, length);
    }
    leave();
    return result;
}
int ftruncate(int fd, off_t length) { return ftruncate64(fd, length); }

int fallocate64(int fd, int mode, off_t offset, off_t length) {
    if (!tracked(fd))
        return (int)syscall(SYS_fallocate, fd, mode, offset, length);
    if (mode & ~(FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE)) {
        errno = EOPNOTSUPP;
        return -1;
    }
    pthread_mutex_lock(&lock);
    int result = -1;
    struct tracked *file = current(fd);
    if (!file) {
        pthread_mutex_unlock(&lock);
        return (int)syscall(SYS_fallocate, fd, mode, offset, length);
    }
    if (!refuses_call(file->path, 0, !(mode & FALLOC_FL_PUNCH_HOLE)) && (file = current(fd))) {
        uint64_t size = size_of(fd), end = (uint64_t)(offset + length);
        if (mode & FALLOC_FL_PUNCH_HOLE) {
            uint64_t until = end < size ? end : size;
            if ((uint64_t)offset < until)
                will_change(fd, file, size, (uint64_t)offset, until - (uint64_t)offset, size);
        } else if (!(mode & FALLOC_FL_KEEP_SIZE) && end > size) {
            will_change(fd, file, size, size, end - size, end);
        }
        result = (int)syscall(SYS_fallocate, fd, mode, offset, length);
    }
    leave();
    return result;
}
int fallocate(int fd, int mode, off_t offset, off_t length) { return fallocate64(fd, mode, offset, length); }
int posix_fallocate(int fd, off_t offset, off_t length) { return fallocate64(fd, 0, offset, length) ? errno : 0; }
int posix_fallocate64(int fd, off_t offset, off_t length) { return posix_fallocate(fd, offset, length); }

/* ---- syncs: the machine keeps its power, so nothing real needs to be waited for ---- */

static int do_sync(int fd) {
    pthread_mutex_lock(&lock);
    int result = -1;
    struct tracked *file = current(fd);
    if (!file) {
        pthread_mutex_unlock(&lock);
        return (int)syscall(SYS_fsync, fd);
    }
    if (!refuses(file->path, 1) && (file = current(fd))) {
        if (!ignores_sync)
            commit(file->inode);
        result = 0;
    }
    leave();
    return result;
}

int fsync(int fd) { return tracked(fd) ? do_sync(fd) : (int)syscall(SYS_fsync, fd); }
int fdatasync(int fd) { return tracked(fd) ? do_sync(fd) : (int)syscall(SYS_fdatasync, fd); }
int sync_file_range(int fd, off_t offset, off_t length, unsigned flags) {
    return tracked(fd) ? 0 : (int)syscall(SYS_sync_file_range, fd, offset, length, flags);
}

/* ---- names ---- */

static int do_mkdir(int at, const char *name, mode_t mode) {
    char path[PATH_MAX];
    if (!is_active() || !resolve(at, name, path))
        return (int)syscall(SYS_mkdirat, at, name, mode);
    pthread_mutex_lock(&lock);
    open_journal(path);
    int result = -1;
    if (inode_of(path)) {
        errno = EEXIST;
    } else if (!refuses(path, 0)) {
        struct record record = { .kind = MKDIR, .inode = parent_inode(path) };
        append(&record, last_name(path), NULL, NULL);
        result = (int)syscall(SYS_mkdirat, at, name, mode);
        if (result == 0)
            commit(inode_of(path));
    }
    leave();
    return result;
}
int mkdir(const char *name, mode_t mode) { return do_mkdir(AT_FDCWD, name, mode); }
int mkdirat(int at, const char *name, mode_t mode) { return do_mkdir(at, name, mode); }

static int do_unlink(int at, const char *name, int flags) {
    char path[PATH_MAX];
    struct stat found;
    if (!is_active() || !resolve(at, name, path) || lstat(path, &found) != 0)
        return (int)syscall(SYS_unlinkat, at, name, flags);
    pthread_mutex_lock(&lock);
    open_journal(path);
    int result = -1;
    if (!(flags & AT_REMOVEDIR) == !S_ISDIR(found.st_mode) && !refuses_call(path, 0, 0)) {
        struct record record = { .kind = flags & AT_REMOVEDIR ? RMDIR : UNLINK, .inode = parent_inode(path),
                                 .subject = found.st_ino, .saved = save(path) };
        append(&record, last_name(path), NULL, NULL);
        result = (int)syscall(SYS_unlinkat, at, name, flags);
    } else if (!(flags & AT_REMOVEDIR) != !S_ISDIR(found.st_mode)) {
        result = (int)syscall(SYS_unlinkat, at, name, flags);
    }
    leave();
    return result;
}
int unlink(const char *name) { return do_unlink(AT_FDCWD, name, 0); }
int unlinkat(int at, const char *name, int flags) { return do_unlink(at, name, flags); }
int rmdir(const char *name) { return do_unlink(AT_FDCWD, name, AT_REMOVEDIR); }

static int do_rename(int at, const char *name, int other_at, const char *other_name, unsigned flags) {
    char from[PATH_MAX], to[PATH_MAX];
    if (!is_active() || !resolve(at, name, from) | !resolve(other_at, other_name, to))
        return (int)syscall(SYS_renameat2, at, name, other_at, other_name, flags);
    pthread_mutex_lock(&lock);
    open_journal(to);
    int result = -1;
    if (!refuses_call(to, 0, 0)) {
        uint64_t moved = inode_of(from);
        if (moved) {
            struct record record = { .kind = RENAME, .inode = parent_inode(from), .other = parent_inode(to),
                                     .subject = moved, .saved = save(to) };
            append(&record, last_name(from), last_name(to), NULL);
        }
        result = (int)syscall(SYS_renameat2, at, name, other_at, other_name, flags);
    }
    leave();
    return result;
}
int rename(const char *name, const char *other) { return do_rename(AT_FDCWD, name, AT_FDCWD, other, 0); }
int renameat(int at, const char *name, int other_at, const char *other) {
    return do_rename(at, name, other_at, other, 0);
}
int renameat2(int at, const char *name, int other_at, const char *other, unsigned flags) {
    return do_rename(at, name, other_at, other, flags);
}

static int do_link(int at, const char *name, int other_at, const char *other_name, int flags) {
    char path[PATH_MAX];
    if (!is_active() || !resolve(other_at, other_name, path))
        return (int)syscall(SYS_linkat, at, name, other_at, other_name, flags);
    pthread_mutex_lock(&lock);
    open_journal(path);
    int result = -1;
    if (inode_of(path)) {
        errno = EEXIST;
    } else if (!refuses(path, 0)) {
        struct record record = { .kind = CREATE, .inode = parent_inode(path) };
        append(&record, last_name(path), NULL, NULL);
        result = (int)syscall(SYS_linkat, at, name, other_at, other_name, flags);
    }
    leave();
    return result;
}
int link(const char *name, const char *other) { return do_link(AT_FDCWD, name, AT_FDCWD, other, 0); }
int linkat(int at, const char *name, int other_at, const char *other, int flags) {
    return do_link(at, name, other_at, other, flags);
}
