/* Moves a spool file into an outbox. BUG: when the outbox file's close fails, the clean-up closes it once more. */
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

int pump(const char *from, const char *to)
{
    char buffer[512];
    ssize_t n;
    int out = -1, in = open(from, O_RDONLY);
    if (in < 0)
        goto fail;
    out = open(to, O_WRONLY | O_CREAT | O_EXCL, 0600);
    if (out < 0)
        goto fail;
    while ((n = read(in, buffer, sizeof buffer)) > 0)
        for (ssize_t done = 0, m; done < n; done += m)
            if ((m = write(out, buffer + done, (size_t)(n - done))) < 0)
                goto fail;
    if (n < 0)
        goto fail;
#ifdef FIXED
    int result = close(out);
    out = -1;
    if (result != 0)
        goto fail;
#else
    if (close(out) != 0)
        goto fail;
    out = -1;
#endif
    close(in);
    return 0;
fail:
    perror("pump");
    if (out >= 0)
        close(out);
    if (in >= 0)
        close(in);
    unlink(to);
    return -1;
}

int main(void)
{
    if (pump("message.spool", "message.out") != 0)
        return 1;
    if (unlink("message.spool") != 0) {
        perror("message.spool");
        return 1;
    }
    return 0;
}
