/* Bad: nobody asks whether the log could be opened. Build with -DFIXED for the twin. */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static __attribute__((noinline)) int note(const char *text)
{
    int fd = open("log.txt", O_WRONLY | O_CREAT | O_APPEND, 0666);
#ifdef FIXED
    if (fd < 0)
        return -1;
#endif
    ssize_t written = write(fd, text, strlen(text));
    return close(fd) != 0 || written != (ssize_t)strlen(text) ? -1 : 0;
}

int main(void)
{
    if (note("started\n") != 0) {
        fputs("log.txt cannot be written\n", stderr);
        return 1;
    }
    return 0;
}
