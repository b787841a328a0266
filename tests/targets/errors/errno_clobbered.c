/* Bad: what is said about the failure is the error of the clean-up after it. Build with -DFIXED for the twin. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static __attribute__((noinline)) int load(void)
{
    char buffer[64];
    int fd = open("in.txt", O_RDONLY);
    if (fd < 0)
        return errno;
    ssize_t n = read(fd, buffer, sizeof buffer);
#ifdef FIXED
    int error = n < 0 ? errno : 0;
    close(fd);
    return error;
#else
    errno = 0;
    close(fd);
    return n < 0 ? errno != 0 ? errno : ENOMSG : 0;
#endif
}

int main(void)
{
    int error = load();
    if (error != 0)
        fprintf(stderr, "in.txt: %s\n", strerror(error));
    return error != 0;
}
