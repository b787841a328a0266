/* Puts the parts of a book together. Part 0 must be there, and the list of parts ends with the first one missing.
 * BUG: "missing" is taken from any failure of open, so that the n-th part's EMFILE or EACCES ends the book. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

int copy_part(int in, int out)
{
    char buffer[128];
    ssize_t n;
    while ((n = read(in, buffer, sizeof buffer)) > 0)
        for (ssize_t done = 0, m; done < n; done += m)
            if ((m = write(out, buffer + done, (size_t)(n - done))) < 0)
                return -1;
    return n < 0 ? -1 : 0;
}

int concat(int out)
{
    char name[32];
    for (int part = 0;; part++) {
        snprintf(name, sizeof name, "part.%d", part);
        int in = open(name, O_RDONLY);
        if (in < 0) {
#ifdef FIXED
            return part > 0 && errno == ENOENT ? 0 : -1;
#else
            return part > 0 ? 0 : -1;
#endif
        }
        int failed = copy_part(in, out);
        close(in);
        if (failed)
            return -1;
    }
}

int main(void)
{
    int out = open("book", O_WRONLY | O_CREAT | O_EXCL, 0644);
    if (out < 0) {
        perror("book");
        return 1;
    }
    int failed = concat(out) != 0;
    if (close(out) != 0 || failed) {
        perror("concat");
        unlink("book");
        return 1;
    }
    return 0;
}
