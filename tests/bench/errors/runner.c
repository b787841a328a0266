/* Runs a check and writes into a protocol whether it passed.
 * BUG: a child whose exec failed returns into the caller, and the protocol is written by both. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

int run_check(char *const argv[])
{
    int status;
    pid_t child = fork();
    if (child < 0)
        return -1;
    if (child == 0) {
        execv(argv[0], argv);
#ifdef FIXED
        _exit(127);
#else
        return 127;
#endif
    }
    while (waitpid(child, &status, 0) < 0)
        if (errno != EINTR)
            return -1;
    return WIFEXITED(status) && WEXITSTATUS(status) != 127 ? WEXITSTATUS(status) : -1;
}

int note(int result)
{
    char line[64];
    int length = snprintf(line, sizeof line, "check: %s\n", result == 0 ? "passed" : "failed");
    int fd = open("protocol", O_WRONLY | O_CREAT | O_APPEND, 0644);
    if (fd < 0)
        return -1;
    int failed = write(fd, line, (size_t)length) != length;
    return close(fd) != 0 || failed ? -1 : 0;
}

int main(void)
{
    char *const check[] = {"/bin/true", NULL};
    int result = run_check(check);
    if (result < 0 || note(result) != 0) {
        perror("runner");
        return 1;
    }
    return 0;
}
