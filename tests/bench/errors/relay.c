/* Copies its input to its output, upper-cased; SIGUSR1 asks how far it is, and its handler has no SA_RESTART.
 * BUG: errno is asked where the result should be: after one EINTR the end of the input is retried for ever. */
#include <ctype.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <unistd.h>

volatile sig_atomic_t asked;

void on_usr1(int signal)
{
    (void)signal;
    asked = 1;
}

ssize_t read_again(int fd, char *buffer, size_t size)
{
    ssize_t n;
    do
        n = read(fd, buffer, size);
#ifdef FIXED
    while (n < 0 && errno == EINTR);
#else
    while (n <= 0 && errno == EINTR);
#endif
    return n;
}

int write_all(int fd, const char *buffer, size_t length)
{
    while (length > 0) {
        ssize_t n = write(fd, buffer, length);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -1;
        buffer += n;
        length -= (size_t)n;
    }
    return 0;
}

int main(void)
{
    struct sigaction action = {.sa_handler = on_usr1};
    char buffer[1024];
    long total = 0;
    ssize_t n;
    if (sigaction(SIGUSR1, &action, NULL) != 0) {
        perror("relay: SIGUSR1");
        return 1;
    }
    while ((n = read_again(STDIN_FILENO, buffer, sizeof buffer)) > 0) {
        for (ssize_t i = 0; i < n; i++)
            buffer[i] = (char)toupper((unsigned char)buffer[i]);
        if (write_all(STDOUT_FILENO, buffer, (size_t)n) != 0) {
            perror("relay: output");
            return 1;
        }
        total += n;
        if (asked)
            fprintf(stderr, "relay: %ld bytes\n", total);
        asked = 0;
    }
    if (n < 0) {
        perror("relay: input");
        return 1;
    }
    return 0;
}
