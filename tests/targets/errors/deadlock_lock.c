/* Bad: when the configuration cannot be read, the function returns with the lock held. Build with -DFIXED for the twin. */
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <unistd.h>

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static __attribute__((noinline)) int load(void)
{
    char buffer[64];
    pthread_mutex_lock(&lock);
    int fd = open("in.txt", O_RDONLY);
    if (fd < 0) {
#ifdef FIXED
        pthread_mutex_unlock(&lock);
#endif
        return -1;
    }
    ssize_t n = read(fd, buffer, sizeof buffer);
    close(fd);
    pthread_mutex_unlock(&lock);
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
