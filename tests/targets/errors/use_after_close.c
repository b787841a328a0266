/* Bad: after a failed write the file is closed, and then synced. Build with -DFIXED for the twin. */
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

int main(void)
{
    int failed = 0;
    int fd = open("out.txt", O_WRONLY | O_CREAT | O_TRUNC, 0666);
    if (fd < 0)
        return 1;
    if (write(fd, "data\n", 5) != 5) {
        fputs("out.txt cannot be written\n", stderr);
        close(fd);
#ifdef FIXED
        return 1;
#endif
        failed = 1;
    }
    failed |= fsync(fd) != 0;
    if (!failed)
        failed = close(fd) != 0;
    return failed;
}
