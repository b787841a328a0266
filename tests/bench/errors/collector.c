/* Collects the lines that a child sends through a pipe; SIGUSR1 asks how far it is.
 * BUG: the handler has no SA_RESTART, and a read that the signal interrupts ends the collection as EOF does. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

volatile sig_atomic_t asked;

void on_usr1(int signal)
{
    (void)signal;
    asked = 1;
}

int produce(int fd)
{
    for (int i = 0; i < 3; i++) {
        usleep(20000);
        if (write(fd, "reading 17.5\n", 13) != 13)
            return 1;
    }
    return 0;
}

long collect(int fd)
{
    char buffer[64];
    long total = 0;
    for (;;) {
        ssize_t n = read(fd, buffer, sizeof buffer);
        if (asked) {
            fprintf(stderr, "%ld bytes so far\n", total);
            asked = 0;
        }
#ifdef FIXED
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -1;
#endif
        if (n <= 0)
            return total;
        total += n;
    }
}

int main(void)
{
    struct sigaction action = {.sa_handler = on_usr1};
    int ends[2], status;
    if (sigaction(SIGUSR1, &action, NULL) != 0 || pipe(ends) != 0) {
        perror("collector");
        return 1;
    }
    pid_t child = fork();
    if (child < 0) {
        perror("fork");
        return 1;
    }
    if (child == 0) {
        close(ends[0]);
        _exit(produce(ends[1]));
    }
    close(ends[1]);
    long total = collect(ends[0]);
    while (waitpid(child, &status, 0) < 0)
        if (errno != EINTR)
            return 1;
    if (total < 0 || status != 0) {
        fprintf(stderr, "collector: readings are incomplete\n");
        return 1;
    }
    printf("%ld bytes\n", total);
    return fclose(stdout) == 0 ? 0 : 1;
}
