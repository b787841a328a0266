/* Bad: when the second file cannot be opened, the first one stays open. Build with -DFIXED for the twin. */
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

static __attribute__((noinline)) int join(const char *from, const char *to)
{
    char buffer[64];
    int in = open(from, O_RDONLY);
    if (in < 0)
        return -1;
    int out = open(to, O_WRONLY | O_CREAT | O_APPEND, 0666);
    if (out < 0) {
#ifdef FIXED
        close(in);
#endif
        return -1;
    }
    ssize_t n;
    while ((n = read(in, buffer, sizeof buffer)) > 0 && write(out, buffer, (size_t)n) == n)
        ;
    int failed = n != 0;
    close(in);
    return close(out) != 0 || failed ? -1 : 0;
}

int main(void)
{
    if (join("in.txt", "out.txt") != 0) {
        fputs("cannot join\n", stderr);
        return 1;
    }
    return 0;
}
