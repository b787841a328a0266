/* Counts messages per mailbox. BUG: a mailbox that cannot be read is said on stderr, and the exit status is 0. */
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

long count_messages(const char *path)
{
    char buffer[128];
    long messages = 0;
    ssize_t n;
    int fd = open(path, O_RDONLY);
    if (fd < 0)
        return -1;
    while ((n = read(fd, buffer, sizeof buffer)) > 0)
        for (ssize_t i = 0; i < n; i++)
            messages += buffer[i] == '\f';
    if (n < 0) {
        perror(path);
#ifdef FIXED
        messages = -1;
#endif
    }
    close(fd);
    return messages;
}

int main(void)
{
    static const char *const boxes[] = {"inbox", "sent"};
    int status = 0;
    for (int i = 0; i < 2; i++) {
        long messages = count_messages(boxes[i]);
        if (messages < 0) {
            fprintf(stderr, "mailstat: %s is left out\n", boxes[i]);
            status = 1;
        } else
            printf("%s: %ld\n", boxes[i], messages);
    }
    if (fclose(stdout) != 0) {
        perror("mailstat");
        return 1;
    }
    return status;
}
