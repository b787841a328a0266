/* Counts two events in a file that is guarded by a lock file; one that cannot be counted is reported.
 * BUG: its lock file stays, and the next event waits for it for ever. */
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
    int status = 0;
    for (int event = 1; event <= 2; event++)
        if (add_event() != 0) {
            fprintf(stderr, "counter: event %d is not counted\n", event);
            status = 1;
        }
    return status;
}
