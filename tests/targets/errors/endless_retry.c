/* Bad: every error is taken for an interruption and tried again. Build with -DFIXED for the twin. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

int main(void)
{
    char buffer[256];
    ssize_t n;
    int fd = open("in.txt", O_RDONLY);
    if (fd < 0) {
        perror("in.txt");
        return 1;
    }
    for (;;) {
        n = read(fd, buffer, sizeof buffer);
#ifdef FIXED
        if (n < 0 && errno == EINTR)
            continue;
#else
        if (n < 0)
            continue;
#endif
        if (n <= 0)
            break;
        if (write(1, buffer, (size_t)n) != n) {
            perror("stdout");
            return 1;
        }
    }
    if (n < 0) {
        perror("in.txt");
        return 1;
    }
    return 0;
}
