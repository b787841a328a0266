/* Rewrites a build stamp by way of a temporary file. BUG: when the write fails, the temporary file stays. */
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

int write_stamp(const char *path, const char *temporary, int number)
{
    char text[32];
    int length = snprintf(text, sizeof text, "build %d\n", number);
    int fd = open(temporary, O_WRONLY | O_CREAT | O_EXCL, 0644);
    if (fd < 0)
        return -1;
    if (write(fd, text, (size_t)length) != length) {
        perror(temporary);
        close(fd);
#ifdef FIXED
        unlink(temporary);
#endif
        return -1;
    }
    int unsafe = fsync(fd) != 0;
    if (close(fd) != 0 || unsafe || rename(temporary, path) != 0) {
        perror(path);
        unlink(temporary);
        return -1;
    }
    return 0;
}

int main(void)
{
    int number = 0;
    FILE *file = fopen("stamp", "r");
    if (file == NULL || fscanf(file, "build %d", &number) != 1) {
        fprintf(stderr, "stamp: cannot be read\n");
        return 1;
    }
    fclose(file);
    return write_stamp("stamp", "stamp.tmp", number + 1) == 0 ? 0 : 1;
}
