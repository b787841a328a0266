/* Bad: what is said about the failure is the error of the clean-up after it. Build with -DFIXED for the twin. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

int main(void)
{
    char buffer[64];
    int fd = open("in.txt", O_RDONLY);
    if (fd < 0 || read(fd, buffer, sizeof buffer) < 0) {
        int error = errno;
        if (fd >= 0)
            close(fd);
        errno = 0;
#ifndef FIXED
        error = errno;
#endif
        fprintf(stderr, "in.txt: %s\n", strerror(error));
        return 1;
    }
    return close(fd) != 0;
}
