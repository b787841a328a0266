/* Bad: save() closes what its caller closes again after a failure. Build with -DFIXED for the twin. */
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

static __attribute__((noinline)) int save(int fd)
{
    if (write(fd, "data\n", 5) != 5) {
#ifndef FIXED
        close(fd);
#endif
        return -1;
    }
    return 0;
}

int main(void)
{
    int fd = open("out.txt", O_WRONLY | O_CREAT | O_TRUNC, 0666);
    if (fd < 0 || save(fd) != 0) {
        if (fd >= 0)
            close(fd);
        fputs("out.txt cannot be written\n", stderr);
        return 1;
    }
    return close(fd) != 0;
}
