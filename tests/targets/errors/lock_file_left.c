/* Bad: when the work fails, the lock file stays and nobody else may work. Build with -DFIXED for the twin. */
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

static __attribute__((noinline)) int work(void)
{
    char buffer[64];
    int fd = open("in.txt", O_RDONLY);
    if (fd < 0)
        return -1;
    ssize_t n = read(fd, buffer, sizeof buffer);
    close(fd);
    return n < 0 ? -1 : 0;
}

int main(void)
{
    int lock = open("lock", O_WRONLY | O_CREAT | O_EXCL, 0666);
    if (lock < 0) {
        perror("lock");
        return 1;
    }
    close(lock);
    if (work() != 0) {
        fputs("in.txt cannot be read\n", stderr);
#ifdef FIXED
        unlink("lock");
#endif
        return 1;
    }
    if (unlink("lock") != 0) {
        perror("lock");
        return 1;
    }
    return 0;
}
