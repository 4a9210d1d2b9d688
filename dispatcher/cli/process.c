/* Processes of the local fleet: pid files that name a start time too, so that a recycled pid is never taken for ours.
 */
#include "dispatcher/cli/local.h"

#include "common/base/mem.h"
#include "common/codec/file.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

/* Field 22 of /proc/PID/stat: start time in ticks since boot; 0 when there is no such process or it is a zombie. */
static unsigned long long start_time(pid_t pid)
{
    AUTO_FREE char *path = mem_printf("/proc/%d/stat", (int)pid);
    AUTO_FREE char *text = NULL;
    struct err ignored;
    if (pid <= 0 || file_read(path, 4096, &text, NULL, &ignored) != 0)
        return 0;
    const char *p = strrchr(text, ')'); /* the name may hold anything, spaces too */
    if (!p || p[1] != ' ' || p[2] == 'Z' || p[2] == 'X')
        return 0;
    p += 2;
    for (int field = 3; field < 22 && p; field++)
        if ((p = strchr(p, ' ')))
            p++;
    return p ? strtoull(p, NULL, 10) : 0;
}

pid_t local_pid(const struct local_fleet *fleet, const char *name)
{
    while (waitpid(-1, NULL, WNOHANG) > 0) /* children that ended must not look alive */
        ;
    AUTO_FREE char *path = mem_printf("%s/%s.pid", fleet->dir, name);
    AUTO_FREE char *text = NULL;
    struct err ignored;
    if (file_read(path, 64, &text, NULL, &ignored) != 0)
        return 0;
    char *end;
    long pid = strtol(text, &end, 10);
    unsigned long long started = *end == ' ' ? strtoull(end, NULL, 10) : 0;
    return pid > 0 && started && start_time((pid_t)pid) == started ? (pid_t)pid : 0;
}

static void child(const struct local_fleet *fleet, const char *name, char *const argv[])
{
    AUTO_FREE char *log = mem_printf("%s/%s.log", fleet->dir, name);
    int in = open("/dev/null", O_RDONLY), out = open(log, O_WRONLY | O_CREAT | O_APPEND, 0600);
    if (in < 0 || out < 0 || setsid() < 0 || dup2(in, 0) < 0 || dup2(out, 1) < 0 || dup2(out, 2) < 0)
        _exit(126);
    for (int fd = 3; fd < 256; fd++)
        (void)close(fd);
    (void)signal(SIGPIPE, SIG_DFL);
    execvp(argv[0], argv);
    _exit(127);
}

int local_spawn(const struct local_fleet *fleet, const char *name, char *const argv[], struct err *err)
{
    pid_t pid = fork();
    if (pid < 0)
        return err_set(err, ERR_IO, "cannot start %s: %s", argv[0], strerror(errno));
    if (pid == 0)
        child(fleet, name, argv);
    AUTO_FREE char *path = mem_printf("%s/%s.pid", fleet->dir, name);
    AUTO_FREE char *text = mem_printf("%d %llu\n", (int)pid, start_time(pid));
    return file_write(path, text, strlen(text), 0600, err);
}

void local_terminate(const struct local_fleet *fleet, const char *name, uint32_t wait_ms)
{
    pid_t pid = local_pid(fleet, name);
    if (!pid || kill(pid, SIGTERM) != 0)
        return;
    for (uint64_t end = cli_now_ms() + wait_ms; local_pid(fleet, name) && cli_now_ms() < end;)
        cli_pause_ms(20);
    if (local_pid(fleet, name))
        (void)kill(pid, SIGKILL);
    for (int i = 0; i < 200 && local_pid(fleet, name); i++)
        cli_pause_ms(10);
}

int local_wait_file(const struct local_fleet *fleet, const char *file, char *ret, size_t size, uint32_t wait_ms,
                    struct err *err)
{
    AUTO_FREE char *path = mem_printf("%s/%s", fleet->dir, file);
    for (uint64_t end = cli_now_ms() + wait_ms;;) {
        AUTO_FREE char *text = NULL;
        struct err ignored;
        if (file_read(path, size - 1, &text, NULL, &ignored) == 0 && *text) { /* files are renamed into place whole */
            text[strcspn(text, "\n")] = 0;
            memcpy(ret, text, strlen(text) + 1);
            return 0;
        }
        if (cli_now_ms() >= end)
            return err_set(err, ERR_IO, "%s did not appear; see the logs in %s", path, fleet->dir);
        cli_pause_ms(10);
    }
}
