/* Copies its input to its output, upper-cased.
 * BUG: errno is asked where the result should be: after one EINTR the end of the input is retried for ever. */
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <unistd.h>

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
    char buffer[1024];
    ssize_t n;
    while ((n = read_again(STDIN_FILENO, buffer, sizeof buffer)) > 0) {
        for (ssize_t i = 0; i < n; i++)
            buffer[i] = (char)toupper((unsigned char)buffer[i]);
        if (write_all(STDOUT_FILENO, buffer, (size_t)n) != 0) {
            perror("relay: output");
            return 1;
        }
    }
    if (n < 0) {
        perror("relay: input");
        return 1;
    }
    return 0;
}
