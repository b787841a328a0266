/* Bad: a file that cannot be read is skipped and never closed. Build with -DFIXED for the twin. */
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

int main(void)
{
    char buffer[64];
    int failures = 0;
    for (int round = 0; round < 4; round++) {
        int fd = open("in.txt", O_RDONLY);
        if (fd < 0 || read(fd, buffer, sizeof buffer) < 0) {
            fprintf(stderr, "round %d: in.txt cannot be read\n", round);
            failures++;
#ifdef FIXED
            if (fd >= 0)
                close(fd);
#endif
            continue;
        }
        close(fd);
    }
    return failures != 0;
}
