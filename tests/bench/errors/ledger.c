/* Appends a booking to a data file and its offset to an index.
 * BUG: the data file's close is checked, the index's (the second descriptor) is not. */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

int append(int fd, const void *bytes, size_t length)
{
    const char *at = bytes;
    while (length > 0) {
        ssize_t n = write(fd, at, length);
        if (n < 0)
            return -1;
        at += n;
        length -= (size_t)n;
    }
    return 0;
}

int book(const char *entry)
{
    int data = open("ledger.dat", O_WRONLY | O_CREAT | O_APPEND, 0600);
    if (data < 0)
        return -1;
    int index = open("ledger.idx", O_WRONLY | O_CREAT | O_APPEND, 0600);
    if (index < 0) {
        close(data);
        return -1;
    }
    long offset = lseek(data, 0, SEEK_END);
    int failed = offset < 0 || append(data, entry, strlen(entry)) != 0 || append(index, &offset, sizeof offset) != 0;
    if (close(data) != 0)
        failed = 1;
#ifdef FIXED
    if (close(index) != 0)
        failed = 1;
#else
    close(index);
#endif
    return failed ? -1 : 0;
}

int main(void)
{
    if (book("2024-01-31 rent 700.00\n") != 0) {
        perror("ledger");
        return 1;
    }
    return 0;
}
