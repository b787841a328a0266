/* Runs three jobs, each in a child. BUG: while the system has no process left (EAGAIN), fork is tried for ever. */
#include <errno.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

int work(int job)
{
    char line[32];
    int length = snprintf(line, sizeof line, "job %d is done\n", job);
    return write(STDOUT_FILENO, line, (size_t)length) == length ? 0 : 1;
}

pid_t start(int job)
{
    pid_t child;
    int tries = 0;
    while ((child = fork()) < 0) {
#ifdef FIXED
        if (errno != EAGAIN || ++tries == 3)
            return -1;
        usleep(1000);
#else
        (void)tries;
        if (errno != EAGAIN)
            return -1;
#endif
    }
    if (child == 0)
        _exit(work(job));
    return child;
}

int main(void)
{
    int status;
    for (int job = 1; job <= 3; job++) {
        pid_t child = start(job);
        if (child < 0) {
            perror("pool: fork");
            return 1;
        }
        while (waitpid(child, &status, 0) < 0)
            if (errno != EINTR) {
                perror("pool: waitpid");
                return 1;
            }
        if (status != 0) {
            fprintf(stderr, "pool: job %d failed\n", job);
            return 1;
        }
    }
    return 0;
}
