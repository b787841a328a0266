/* Bad: the only copy is emptied before the new one is written. The twin (-DFIXED) writes beside it and renames. */
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#ifdef FIXED
#define NEW "state.txt.new"
#else
#define NEW "state.txt"
#endif

int main(void)
{
    char old[64];
    int fd = open("state.txt", O_RDONLY);
    ssize_t n = fd < 0 ? -1 : read(fd, old, sizeof old);
    if (n < 0) {
        perror("state.txt");
        return 1;
    }
    close(fd);
    fd = open(NEW, O_WRONLY | O_CREAT | O_TRUNC, 0666);
    if (fd < 0 || write(fd, old, (size_t)n) != n || write(fd, "more\n", 5) != 5 || fsync(fd) != 0 || close(fd) != 0) {
        perror(NEW);
#ifdef FIXED
        unlink(NEW);
#endif
        return 1;
    }
#ifdef FIXED
    if (rename(NEW, "state.txt") != 0) {
        perror(NEW);
        unlink(NEW);
        return 1;
    }
#endif
    return 0;
}
