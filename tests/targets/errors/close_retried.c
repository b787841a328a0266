/* Bad: a close(2) that was interrupted is tried again, while Linux has released the number. -DFIXED is the twin. */
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

static __attribute__((noinline)) int release(int fd)
{
#ifdef FIXED
    return close(fd);
#else
    int result = close(fd);
    return result != 0 ? close(fd) : result;
#endif
}

int main(void)
{
    int fd = open("out.txt", O_WRONLY | O_CREAT | O_TRUNC, 0666);
    if (fd < 0 || write(fd, "data\n", 5) != 5 || release(fd) != 0) {
        perror("out.txt");
        return 1;
    }
    return 0;
}
