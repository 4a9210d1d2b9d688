#include "common/codec/file.h"

#include "common/base/mem.h"
#include "common/base/str.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

static int read_all(int fd, const char *path, size_t bytes_max, struct str *out, struct err *err)
{
    char block[65536];
    for (;;) {
        ssize_t n = read(fd, block, sizeof block);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return err_set(err, ERR_IO, "%s: %s", path, strerror(errno));
        if (n == 0)
            return 0;
        str_add_bytes(out, block, (size_t)n);
        if (out->is_over)
            return err_set(err, ERR_TOO_LARGE, "%s: more than %zu bytes", path, bytes_max);
    }
}

int file_read(const char *path, size_t bytes_max, char **ret, size_t *ret_len, struct err *err)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return err_set(err, ERR_IO, "%s: %s", path, strerror(errno));
    struct str out;
    str_init(&out, bytes_max);
    int result = read_all(fd, path, bytes_max, &out, err);
    (void)close(fd);
    if (result == 0) {
        if (ret_len)
            *ret_len = out.len;
        *ret = str_take(&out);
    }
    str_done(&out);
    return result;
}

static int write_all(int fd, const char *p, size_t len)
{
    while (len) {
        ssize_t n = write(fd, p, len);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -1;
        p += n;
        len -= (size_t)n;
    }
    return fsync(fd);
}

int file_write(const char *path, const void *bytes, size_t len, unsigned mode, struct err *err)
{
    AUTO_FREE char *beside = mem_printf("%s.%d.new", path, (int)getpid());
    int fd = open(beside, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, (mode_t)mode);
    if (fd < 0)
        return err_set(err, ERR_IO, "%s: %s", beside, strerror(errno));
    bool is_fine = write_all(fd, bytes, len) == 0;
    int why = errno;
    if (close(fd) != 0)
        is_fine = false;
    if (is_fine && rename(beside, path) == 0)
        return 0;
    if (is_fine)
        why = errno;
    (void)unlink(beside);
    return err_set(err, ERR_IO, "%s: %s", path, strerror(why));
}

int file_make_dirs(const char *path, unsigned mode, struct err *err)
{
    AUTO_FREE char *copy = mem_dup(path);
    for (char *p = copy + 1;; p++) {
        char c = *p;
        if (c != '/' && c != 0)
            continue;
        *p = 0;
        if (mkdir(copy, (mode_t)mode) != 0 && errno != EEXIST)
            return err_set(err, ERR_IO, "%s: %s", copy, strerror(errno));
        *p = c;
        if (!c)
            return 0;
    }
}
