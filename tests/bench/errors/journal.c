/* Commits each record of a journal to the disk before it acknowledges it on stdout.
 * BUG: the acknowledgement does not wait for what fsync says. */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

int commit(int fd, const char *record)
{
    size_t length = strlen(record);
    if (write(fd, record, length) != (ssize_t)length)
        return -1;
#ifdef FIXED
    if (fsync(fd) != 0)
        return -1;
#else
    fsync(fd);
#endif
    return 0;
}

int main(void)
{
    static const char *const records[] = {"begin 7\n", "set a 1\n", "set b 2\n", "end 7\n"};
    int fd = open("journal", O_WRONLY | O_CREAT | O_APPEND, 0600);
    if (fd < 0) {
        perror("journal");
        return 1;
    }
    for (int i = 0; i < 4; i++) {
        if (commit(fd, records[i]) != 0) {
            perror("journal: not committed");
            return 1;
        }
        printf("committed %d\n", i);
        if (fflush(stdout) != 0) {
            perror("stdout");
            return 1;
        }
    }
    if (close(fd) != 0) {
        perror("journal");
        return 1;
    }
    return 0;
}
