/* Starts the log of a day; SIGTERM is heeded when that is done, and its handler has no SA_RESTART.
 * BUG: close is retried after EINTR; on Linux the descriptor is free by then (close(2), "Dealing with error returns"). */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <unistd.h>

volatile sig_atomic_t stopped;

void on_term(int signal)
{
    (void)signal;
    stopped = 1;
}

int close_log(int fd)
{
#ifdef FIXED
    return close(fd) == 0 || errno == EINTR ? 0 : -1;
#else
    int result;
    do
        result = close(fd);
    while (result != 0 && errno == EINTR);
    return result;
#endif
}

int start_log(const char *path)
{
    static const char line[] = "-- service.log --\n";
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL, 0640);
    if (fd < 0)
        return -1;
    int failed = write(fd, line, sizeof line - 1) != (ssize_t)sizeof line - 1;
    if (close_log(fd) != 0)
        failed = 1;
    if (failed)
        unlink(path);
    return failed ? -1 : 0;
}

int main(void)
{
    struct sigaction action = {.sa_handler = on_term};
    if (sigaction(SIGTERM, &action, NULL) != 0 || start_log("service.log") != 0) {
        perror("service.log");
        return 1;
    }
    return stopped ? 3 : 0;
}
