/* Bad: nobody asks whether the data was written. Build with -DFIXED for the twin. */
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

static __attribute__((noinline)) int save(const char *name, const char *data, size_t size)
{
    int fd = open(name, O_WRONLY | O_CREAT | O_TRUNC, 0666);
    if (fd < 0)
        return -1;
#ifdef FIXED
    if (write(fd, data, size) != (ssize_t)size) {
        close(fd);
        return -1;
    }
    return close(fd);
#else
    (void)!write(fd, data, size);
    close(fd);
    return 0;
#endif
}

int main(void)
{
    if (save("out.txt", "precious\n", 9) != 0) {
        perror("out.txt");
        return 1;
    }
    return 0;
}
