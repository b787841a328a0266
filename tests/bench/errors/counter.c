/* Counts an event twice in a file that is guarded by a lock file; an attempt that fails is made once more.
 * BUG: the failed attempt leaves the lock file, and the next one waits for it for ever. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

int take_lock(void)
{
    int fd, tries = 0;
    while ((fd = open("count.lock", O_WRONLY | O_CREAT | O_EXCL, 0600)) < 0) {
#ifdef FIXED
        if (errno != EEXIST || ++tries == 50)
            return -1;
#else
        (void)tries;
        if (errno != EEXIST)
            return -1;
#endif
        usleep(10000);
    }
    close(fd);
    return 0;
}

int add_event(void)
{
    if (take_lock() != 0)
        return -1;
    int fd = open("count", O_WRONLY | O_CREAT | O_APPEND, 0600);
    if (fd < 0 || write(fd, "+\n", 2) != 2) {
        perror("count");
        if (fd >= 0)
            close(fd);
#ifdef FIXED
        unlink("count.lock");
#endif
        return -1;
    }
    int failed = close(fd) != 0;
    if (unlink("count.lock") != 0)
        failed = 1;
    return failed ? -1 : 0;
}

int main(void)
{
    for (int event = 0; event < 2; event++)
        if (add_event() != 0 && add_event() != 0) {
            fprintf(stderr, "counter: event %d is not counted\n", event);
            return 1;
        }
    return 0;
}
