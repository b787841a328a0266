/* Bad: a signal that comes in while it waits ends its reading. Build with -DFIXED for the twin, whose reads go on. */
#include <signal.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

static volatile sig_atomic_t nudged;

static void nudge(int number)
{
    (void)number;
    nudged = 1;
}

static __attribute__((noinline)) int collect(int fd)
{
    char data[64];
    ssize_t got;
    while ((got = read(fd, data, sizeof data)) > 0)
        if (fwrite(data, 1, (size_t)got, stdout) != (size_t)got)
            return -1;
#ifdef FIXED
    return got < 0 ? -1 : fflush(stdout);
#else
    return fflush(stdout);
#endif
}

int main(void)
{
    struct sigaction action = {.sa_handler = nudge};
    int ends[2];
#ifdef FIXED
    action.sa_flags = SA_RESTART;
#endif
    if (sigaction(SIGUSR1, &action, NULL) != 0 || pipe(ends) != 0)
        return 1;
    pid_t child = fork();
    if (child < 0)
        return 1;
    if (child == 0)
        _exit(write(ends[1], "answer\n", 7) == 7 ? 0 : 1);
    close(ends[1]);
    if (collect(ends[0]) != 0) {
        perror("child");
        return 1;
    }
    return waitpid(child, NULL, 0) == child ? 0 : 1;
}
