/* Counts the lines of a file, or of its mirror when the file cannot be opened.
 * BUG: needs two faults: nobody asks whether the mirror could be opened. */
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

int open_mirror(void)
{
    int fd = open("lines.mirror", O_RDONLY);
    fprintf(stderr, "failover: the mirror is used\n");
    return fd;
}

int count_lines(int fd, long *lines)
{
    char buffer[256];
    ssize_t n;
    while ((n = read(fd, buffer, sizeof buffer)) > 0)
        for (ssize_t i = 0; i < n; i++)
            *lines += buffer[i] == '\n';
    return n < 0 ? -1 : 0;
}

int main(void)
{
    long lines = 0;
    int fd = open("lines.txt", O_RDONLY);
    if (fd < 0) {
        perror("lines.txt");
        fd = open_mirror();
#ifdef FIXED
        if (fd < 0) {
            perror("lines.mirror");
            return 1;
        }
#endif
    }
    if (fd >= 0) {
        if (count_lines(fd, &lines) != 0) {
            perror("failover");
            return 1;
        }
        close(fd);
    }
    printf("%ld lines\n", lines);
    return fclose(stdout) == 0 ? 0 : 1;
}
