/* Saves a copy of a file in one go. BUG: a write that took only a part is taken for a whole one. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

char *load(const char *path, size_t *length)
{
    struct stat facts;
    int fd = open(path, O_RDONLY);
    if (fd < 0)
        return NULL;
    char *bytes = fstat(fd, &facts) == 0 ? malloc((size_t)facts.st_size + 1) : NULL;
    *length = 0;
    while (bytes != NULL && *length < (size_t)facts.st_size) {
        ssize_t n = read(fd, bytes + *length, (size_t)facts.st_size - *length);
        if (n <= 0) {
            free(bytes);
            bytes = NULL;
        } else
            *length += (size_t)n;
    }
    close(fd);
    return bytes;
}

int save(const char *path, const char *bytes, size_t length)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL, 0644);
    if (fd < 0)
        return -1;
#ifdef FIXED
    ssize_t n = 0;
    for (size_t done = 0; n >= 0 && done < length; done += (size_t)n)
        n = write(fd, bytes + done, length - done);
#else
    ssize_t n = write(fd, bytes, length);
#endif
    if (close(fd) != 0 || n < 0) {
        unlink(path);
        return -1;
    }
    return 0;
}

int main(void)
{
    size_t length;
    char *bytes = load("state.db", &length);
    if (bytes == NULL || save("state.snapshot", bytes, length) != 0) {
        perror("snapshot");
        free(bytes);
        return 1;
    }
    free(bytes);
    return 0;
}
