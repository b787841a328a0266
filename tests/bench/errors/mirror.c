/* Keeps copies of two files; a copy that fails is reported and the next one is tried.
 * BUG: when the copy cannot be opened, the source stays open. */
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

int copy(const char *from, const char *to)
{
    char buffer[256];
    ssize_t n;
    int in = open(from, O_RDONLY);
    if (in < 0)
        return -1;
    int out = open(to, O_WRONLY | O_CREAT | O_EXCL, 0644);
    if (out < 0) {
#ifdef FIXED
        close(in);
#endif
        return -1;
    }
    int failed = 0;
    while (!failed && (n = read(in, buffer, sizeof buffer)) != 0)
        failed = n < 0 || write(out, buffer, (size_t)n) != n;
    close(in);
    if (close(out) != 0)
        failed = 1;
    if (failed)
        unlink(to);
    return failed ? -1 : 0;
}

int main(void)
{
    static const char *const files[][2] = {{"a.txt", "a.copy"}, {"b.txt", "b.copy"}};
    int status = 0;
    for (int i = 0; i < 2; i++)
        if (copy(files[i][0], files[i][1]) != 0) {
            perror(files[i][1]);
            status = 1;
        }
    return status;
}
