/* Preloaded into the real program: writes what it does to files, and what it sends and prints, to a log, in order.
 *
 *   COHOBATE_RECORD        the log; without it nothing is recorded
 *   COHOBATE_RECORD_SYNC   "skip" leaves out the real fsync: the page cache is enough where nothing is cut
 *   COHOBATE_RECORD_SPACE  bytes that may be added to files before the disk is full
 *
 * A call and its record are one step under one lock, so the log has the calls in the order of their effects. Two calls
 * differ. A sync is recorded when it begins and when it ends: only the writes before its begin are durable after its
 * end. What is sent or printed is recorded before it leaves, so all that it relies on must be durable by then.
 *
 * Files and directories are told by their inode; recorder.rs has the layout of a record. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

enum { CREATE = 1, WRITE, TRUNCATE, SYNC_BEGIN, SYNC_END, RENAME, LINK, UNLINK, MAKE_DIRECTORY, REMOVE_DIRECTORY, SEND,
       PRINT, UNSUPPORTED, OVERFLOW };

struct record { uint32_t kind, thread; uint64_t a, b, c; uint32_t first_length, second_length; };

/* A run of the tests records less than a tenth of this. */
#define LOG_BYTES_MAX (512LL << 20)

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static int log_file = -1;
static long long log_bytes, space_left = -1;
static int skips_sync;


__attribute__((constructor)) static void begin(void) {
    const char *path = getenv("COHOBATE_RECORD"), *sync = getenv("COHOBATE_RECORD_SYNC");
    const char *space = getenv("COHOBATE_RECORD_SPACE");
    if (path) log_file = syscall(SYS_openat, AT_FDCWD, path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    skips_sync = sync && !strcmp(sync, "skip");
    if (space) space_left = atoll(space);
}

static void note(uint32_t kind, uint64_t a, uint64_t b, uint64_t c, const void *first, size_t first_length,
                 const char *second) {
    if (log_file < 0) return;
    size_t second_length = second ? strlen(second) : 0;
    struct record record = {kind, (uint32_t)syscall(SYS_gettid), a, b, c, first_length, second_length};
    log_bytes += sizeof record + first_length + second_length;
    if (log_bytes > LOG_BYTES_MAX) {
        struct record last = {OVERFLOW, 0, 0, 0, 0, 0, 0};
        syscall(SYS_write, log_file, &last, sizeof last);
        log_file = -1;
        return;
    }
    struct iovec parts[] = {{&record, sizeof record}, {(void *)first, first_length}, {(void *)second, second_length}};
    int saved = errno;
    syscall(SYS_writev, log_file, parts, 3);
    errno = saved;
}

static const char *last_name(const char *path) {
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

/* The inode of the directory that holds a name; 0 where it cannot be told. */
static uint64_t parent_of(int at, const char *path) {
    char parent[PATH_MAX + 64];
    struct stat found;
    int length = (int)(last_name(path) - path);
    const char *base = length ? "" : ".";
    if (path[0] == '/' || at == AT_FDCWD) snprintf(parent, sizeof parent, "%.*s%s", length, path, base);
    else snprintf(parent, sizeof parent, "/proc/self/fd/%d/%.*s%s", at, length, path, base);
    return stat(parent, &found) == 0 ? found.st_ino : 0;
}

static uint64_t inode_of(int at, const char *path) {
    struct stat found;
    return fstatat(at, path, &found, AT_SYMLINK_NOFOLLOW) == 0 ? found.st_ino : 0;
}

static int is_regular(int file, struct stat *found) {
    return fstat(file, found) == 0 && S_ISREG(found->st_mode);
}

static int is_full(void) {
    if (space_left != 0) return 0;
    errno = ENOSPC;
    return 1;
}

/* How many of the bytes there is room for. */
static size_t room_for(off_t size, off_t offset, size_t count) {
    long long added = (long long)offset + (long long)count - (size > offset ? size : offset);
    if (space_left < 0 || added <= 0) return count;
    if (added > space_left) { count -= added - space_left; added = space_left; }
    space_left -= added;
    return count;
}

static int open_file(int at, const char *path, int flags, mode_t mode) {
    pthread_mutex_lock(&lock);
    int creates = (flags & O_CREAT) && faccessat(at, path, F_OK, AT_SYMLINK_NOFOLLOW) != 0;
    int file = creates && is_full() ? -1 : (int)syscall(SYS_openat, at, path, flags | O_LARGEFILE, mode);
    int saved = errno;
    struct stat found;
    if (file >= 0 && (flags & O_ACCMODE) != O_RDONLY && is_regular(file, &found)) {
        if (creates) note(CREATE, parent_of(at, path), found.st_ino, 0, last_name(path), strlen(last_name(path)), 0);
        else if (flags & O_TRUNC) note(TRUNCATE, found.st_ino, 0, 0, 0, 0, 0);
    }
    pthread_mutex_unlock(&lock);
    errno = saved;
    return file;
}

#define MODE(flags) mode_t mode = 0; if ((flags) & (O_CREAT | __O_TMPFILE)) { \
    va_list list; va_start(list, flags); mode = va_arg(list, mode_t); va_end(list); }
int open(const char *path, int flags, ...) { MODE(flags) return open_file(AT_FDCWD, path, flags, mode); }
int open64(const char *path, int flags, ...) { MODE(flags) return open_file(AT_FDCWD, path, flags, mode); }
int openat(int at, const char *path, int flags, ...) { MODE(flags) return open_file(at, path, flags, mode); }
int openat64(int at, const char *path, int flags, ...) { MODE(flags) return open_file(at, path, flags, mode); }
int creat(const char *path, mode_t mode) { return open_file(AT_FDCWD, path, O_CREAT | O_WRONLY | O_TRUNC, mode); }
int creat64(const char *path, mode_t mode) { return open_file(AT_FDCWD, path, O_CREAT | O_WRONLY | O_TRUNC, mode); }

/* Writes parts to a file, at an offset or, where that is negative, at its position. */
static ssize_t write_file(int file, const struct iovec *parts, int part_count, off_t offset) {
    struct stat found;
    size_t count = 0, at = 0;
    if (fstat(file, &found) != 0) { errno = EBADF; return -1; }
    for (int part = 0; part < part_count; part++) count += parts[part].iov_len;
    int sends = S_ISSOCK(found.st_mode), prints = file == 1 || file == 2;
    if (!sends && !prints && !S_ISREG(found.st_mode)) return syscall(SYS_writev, file, parts, part_count);
    char *bytes = malloc(count ? count : 1);
    for (int part = 0; part < part_count; at += parts[part++].iov_len)
        memcpy(bytes + at, parts[part].iov_base, parts[part].iov_len);
    ssize_t written;
    if (sends || prints) {
        pthread_mutex_lock(&lock);
        note(sends ? SEND : PRINT, sends ? found.st_ino : (uint64_t)file, 0, 0, bytes, count, 0);
        pthread_mutex_unlock(&lock);
        written = syscall(SYS_writev, file, parts, part_count);
        free(bytes);
        return written;
    }
    pthread_mutex_lock(&lock);
    fstat(file, &found);
    int appends = offset < 0 && (fcntl(file, F_GETFL) & O_APPEND);
    off_t from = appends ? found.st_size : offset < 0 ? lseek(file, 0, SEEK_CUR) : offset;
    size_t allowed = room_for(found.st_size, from, count);
    if (allowed == 0 && count > 0) {
        written = -1;
        errno = ENOSPC;
    } else {
        written = offset < 0 ? syscall(SYS_write, file, bytes, allowed) : syscall(SYS_pwrite64, file, bytes, allowed, offset);
    }
    int saved = errno;
    if (written > 0) note(WRITE, found.st_ino, (uint64_t)from, 0, bytes, (size_t)written, 0);
    pthread_mutex_unlock(&lock);
    free(bytes);
    errno = saved;
    return written;
}

#define ONE(bytes, count) (&(struct iovec){(void *)(bytes), count}), 1
ssize_t write(int file, const void *bytes, size_t count) { return write_file(file, ONE(bytes, count), -1); }
ssize_t writev(int file, const struct iovec *parts, int count) { return write_file(file, parts, count, -1); }
ssize_t pwrite(int file, const void *bytes, size_t count, off_t at) { return write_file(file, ONE(bytes, count), at); }
ssize_t pwrite64(int file, const void *bytes, size_t count, off_t at) { return write_file(file, ONE(bytes, count), at); }
ssize_t pwritev(int file, const struct iovec *parts, int count, off_t at) { return write_file(file, parts, count, at); }
ssize_t pwritev64(int file, const struct iovec *parts, int count, off_t at) { return write_file(file, parts, count, at); }

static void sending(int file, const void *bytes, size_t count) {
    struct stat found;
    if (fstat(file, &found) != 0) return;
    pthread_mutex_lock(&lock);
    note(SEND, found.st_ino, 0, 0, bytes, count, 0);
    pthread_mutex_unlock(&lock);
}

ssize_t send(int file, const void *bytes, size_t count, int flags) {
    sending(file, bytes, count);
    return syscall(SYS_sendto, file, bytes, count, flags, NULL, 0);
}

ssize_t sendmsg(int file, const struct msghdr *message, int flags) {
    for (size_t part = 0; part < message->msg_iovlen; part++)
        sending(file, message->msg_iov[part].iov_base, message->msg_iov[part].iov_len);
    return syscall(SYS_sendmsg, file, message, flags);
}

/* The standard library then copies with read and write. */
ssize_t copy_file_range(int from, off64_t *from_at, int to, off64_t *to_at, size_t count, unsigned flags) {
    (void)from, (void)from_at, (void)to, (void)to_at, (void)count, (void)flags;
    errno = ENOSYS;
    return -1;
}
ssize_t sendfile(int to, int from, off_t *at, size_t count) { (void)to, (void)from, (void)at, (void)count; errno = ENOSYS; return -1; }
ssize_t sendfile64(int to, int from, off64_t *at, size_t count) { return sendfile(to, from, at, count); }

int ftruncate(int file, off_t length) {
    struct stat found;
    pthread_mutex_lock(&lock);
    int result = (int)syscall(SYS_ftruncate, file, length);
    if (result == 0 && is_regular(file, &found)) note(TRUNCATE, found.st_ino, (uint64_t)length, 0, 0, 0, 0);
    pthread_mutex_unlock(&lock);
    return result;
}
int ftruncate64(int file, off_t length) { return ftruncate(file, length); }

static int sync_file(int file, long call) {
    struct stat found;
    int is_known = fstat(file, &found) == 0;
    pthread_mutex_lock(&lock);
    if (is_known) note(SYNC_BEGIN, found.st_ino, 0, 0, 0, 0, 0);
    pthread_mutex_unlock(&lock);
    int result = skips_sync ? 0 : (int)syscall(call, file);
    pthread_mutex_lock(&lock);
    if (is_known && result == 0) note(SYNC_END, found.st_ino, 0, 0, 0, 0, 0);
    pthread_mutex_unlock(&lock);
    return result;
}
int fsync(int file) { return sync_file(file, SYS_fsync); }
int fdatasync(int file) { return sync_file(file, SYS_fdatasync); }

/* Starts the writing and flushes no device: nothing is durable after it. */
int sync_file_range(int file, off64_t from, off64_t count, unsigned flags) {
    return skips_sync ? 0 : (int)syscall(SYS_sync_file_range, file, from, count, flags);
}

int renameat2(int from_at, const char *from, int to_at, const char *to, unsigned flags) {
    pthread_mutex_lock(&lock);
    uint64_t from_parent = parent_of(from_at, from), to_parent = parent_of(to_at, to);
    int result = (int)syscall(SYS_renameat2, from_at, from, to_at, to, flags);
    const char *name = last_name(from);
    if (result == 0) note(RENAME, from_parent, to_parent, flags, name, strlen(name), last_name(to));
    pthread_mutex_unlock(&lock);
    return result;
}
int renameat(int from_at, const char *from, int to_at, const char *to) { return renameat2(from_at, from, to_at, to, 0); }
int rename(const char *from, const char *to) { return renameat2(AT_FDCWD, from, AT_FDCWD, to, 0); }

int linkat(int from_at, const char *from, int to_at, const char *to, int flags) {
    pthread_mutex_lock(&lock);
    int result = is_full() ? -1 : (int)syscall(SYS_linkat, from_at, from, to_at, to, flags);
    const char *name = last_name(to);
    if (result == 0) note(LINK, inode_of(to_at, to), parent_of(to_at, to), 0, name, strlen(name), 0);
    pthread_mutex_unlock(&lock);
    return result;
}
int link(const char *from, const char *to) { return linkat(AT_FDCWD, from, AT_FDCWD, to, 0); }

int unlinkat(int at, const char *path, int flags) {
    pthread_mutex_lock(&lock);
    uint64_t parent = parent_of(at, path);
    int result = (int)syscall(SYS_unlinkat, at, path, flags);
    const char *name = last_name(path);
    uint32_t kind = flags & AT_REMOVEDIR ? REMOVE_DIRECTORY : UNLINK;
    if (result == 0) note(kind, parent, 0, 0, name, strlen(name), 0);
    pthread_mutex_unlock(&lock);
    return result;
}
int unlink(const char *path) { return unlinkat(AT_FDCWD, path, 0); }
int rmdir(const char *path) { return unlinkat(AT_FDCWD, path, AT_REMOVEDIR); }

int mkdirat(int at, const char *path, mode_t mode) {
    pthread_mutex_lock(&lock);
    int result = is_full() ? -1 : (int)syscall(SYS_mkdirat, at, path, mode);
    const char *name = last_name(path);
    if (result == 0) note(MAKE_DIRECTORY, parent_of(at, path), inode_of(at, path), 0, name, strlen(name), 0);
    pthread_mutex_unlock(&lock);
    return result;
}
int mkdir(const char *path, mode_t mode) { return mkdirat(AT_FDCWD, path, mode); }

/* What is written through a mapping is not seen here: a run that does so cannot be judged. */
void *mmap(void *address, size_t length, int protection, int flags, int file, off_t offset) {
    struct stat found;
    if (file >= 0 && (flags & MAP_SHARED) && (protection & PROT_WRITE) && is_regular(file, &found)) {
        pthread_mutex_lock(&lock);
        note(UNSUPPORTED, found.st_ino, 0, 0, "mmap", 4, 0);
        pthread_mutex_unlock(&lock);
    }
    return (void *)syscall(SYS_mmap, address, length, protection, flags, file, offset);
}
void *mmap64(void *address, size_t length, int protection, int flags, int file, off_t offset) {
    return mmap(address, length, protection, flags, file, offset);
}
