/* A parent asks its helper, over a socket pair, to put lines on record.
 * BUG: the helper that cannot open its record goes, and the parent dies of SIGPIPE as it tells it to stop. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

int tell(int fd, const char *word)
{
    size_t left = strlen(word);
    while (left > 0) {
#ifdef FIXED
        ssize_t n = send(fd, word, left, MSG_NOSIGNAL);
#else
        ssize_t n = write(fd, word, left);
#endif
        if (n < 0)
            return -1;
        word += n;
        left -= (size_t)n;
    }
    return 0;
}

int helper(int fd)
{
    char line[64];
    size_t length = 0;
    ssize_t n;
    int record = open("record", O_WRONLY | O_CREAT | O_APPEND, 0600);
    if (record < 0)
        return 1;
    if (send(fd, "ready", 5, MSG_NOSIGNAL) != 5)
        return 1;
    while ((n = recv(fd, line + length, sizeof line - length, 0)) > 0)
        length += (size_t)n;
    if (n < 0 || length == 0 || line[length - 1] != '\n')
        return 1;
    int failed = write(record, line, length) != (ssize_t)length;
    return close(record) != 0 || failed;
}

int put_on_record(int fd, const char *line)
{
    char answer[8];
    ssize_t n = recv(fd, answer, sizeof answer, 0);
    if (n <= 0) {
        tell(fd, "stop");
        return -1;
    }
    return tell(fd, line);
}

int main(void)
{
    int ends[2], status;
    if (socketpair(AF_UNIX, SOCK_STREAM, 0, ends) != 0) {
        perror("notary");
        return 1;
    }
    pid_t child = fork();
    if (child < 0) {
        perror("notary");
        return 1;
    }
    if (child == 0) {
        close(ends[0]);
        _exit(helper(ends[1]));
    }
    close(ends[1]);
    int failed = put_on_record(ends[0], "the parties agree\n") != 0;
    close(ends[0]);
    while (waitpid(child, &status, 0) < 0)
        if (errno != EINTR)
            return 1;
    if (failed || status != 0) {
        fprintf(stderr, "notary: nothing is on record\n");
        return 1;
    }
    return 0;
}
