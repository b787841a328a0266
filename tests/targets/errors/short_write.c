/* Bad: a write that did not fail is taken for a whole one. Build with -DFIXED for the twin. */
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

static __attribute__((noinline)) int save(int fd, const char *data, size_t size)
{
#ifdef FIXED
    while (size > 0) {
        ssize_t done = write(fd, data, size);
        if (done < 0)
            return -1;
        data += done;
        size -= (size_t)done;
    }
    return 0;
#else
    return write(fd, data, size) < 0 ? -1 : 0;
#endif
}

int main(void)
{
    int fd = open("out.txt", O_WRONLY | O_CREAT | O_TRUNC, 0666);
    if (fd < 0 || save(fd, "precious\n", 9) != 0 || close(fd) != 0 || save(1, "saved\n", 6) != 0) {
        perror("out.txt");
        return 1;
    }
    return 0;
}
