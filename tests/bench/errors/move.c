/* Moves a file; across file systems (rename says EXDEV) it is copied, then removed.
 * BUG: needs two faults: the copy's write is not checked, and the source goes all the same. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

int copy_bytes(int in, int out)
{
    char buffer[256];
    ssize_t n;
    while ((n = read(in, buffer, sizeof buffer)) > 0) {
#ifdef FIXED
        for (ssize_t done = 0, m; done < n; done += m)
            if ((m = write(out, buffer + done, (size_t)(n - done))) < 0)
                return -1;
#else
        if (write(out, buffer, (size_t)n) == 0)
            return -1;
#endif
    }
    return n < 0 ? -1 : 0;
}

int copy(const char *from, const char *to)
{
    int in = open(from, O_RDONLY);
    if (in < 0)
        return -1;
    int out = open(to, O_WRONLY | O_CREAT | O_EXCL, 0644);
    if (out < 0) {
        close(in);
        return -1;
    }
    int failed = copy_bytes(in, out) != 0 || fsync(out) != 0;
    close(in);
    if (close(out) != 0 || failed) {
        unlink(to);
        return -1;
    }
    return 0;
}

int move(const char *from, const char *to)
{
    if (rename(from, to) == 0)
        return 0;
    if (errno != EXDEV || copy(from, to) != 0)
        return -1;
    return unlink(from);
}

int main(void)
{
    if (move("draft.txt", "final.txt") != 0) {
        perror("move");
        return 1;
    }
    return 0;
}
