/* Bad: one read is taken for all there is. Build with -DFIXED for the twin. */
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

static __attribute__((noinline)) ssize_t load(int fd, char *data, size_t size)
{
#ifdef FIXED
    size_t have = 0;
    for (;;) {
        ssize_t got = read(fd, data + have, size - have);
        if (got < 0)
            return -1;
        if (got == 0)
            return (ssize_t)have;
        have += (size_t)got;
    }
#else
    return read(fd, data, size);
#endif
}

int main(void)
{
    static char data[1 << 16];
    int fd = open("in.txt", O_RDONLY);
    ssize_t size = fd < 0 ? -1 : load(fd, data, sizeof data);
    if (size < 0) {
        perror("in.txt");
        return 1;
    }
    if (printf("%zd bytes\n", size) < 0 || fflush(stdout) != 0)
        return 1;
    return 0;
}
