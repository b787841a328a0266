/* Bad: after a failure the lock file stays locked, and the next try waits for it. Build with -DFIXED for the twin. */
#include <fcntl.h>
#include <stdio.h>
#include <sys/file.h>
#include <unistd.h>

static __attribute__((noinline)) int load(void)
{
    char buffer[64];
    int lock = open("lock", O_RDWR | O_CREAT, 0666);
    if (lock < 0 || flock(lock, LOCK_EX) != 0) {
        if (lock >= 0)
            close(lock);
        return -1;
    }
    int fd = open("in.txt", O_RDONLY);
    if (fd < 0) {
#ifdef FIXED
        close(lock);
#endif
        return -1;
    }
    ssize_t n = read(fd, buffer, sizeof buffer);
    close(fd);
    close(lock);
    return n < 0 ? -1 : 0;
}

int main(void)
{
    if (load() != 0 && load() != 0) {
        fputs("cannot load\n", stderr);
        return 1;
    }
    return 0;
}
