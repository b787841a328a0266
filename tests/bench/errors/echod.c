/* Answers one client (a child of its own) over a local socket.
 * BUG: accept is tried again after any failure; with EMFILE the pending client keeps it busy for ever. */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

struct sockaddr_un address = {.sun_family = AF_UNIX, .sun_path = "echo.sock"};

int client(void)
{
    char answer[8];
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof address) != 0)
        return 1;
    if (send(fd, "ping\n", 5, MSG_NOSIGNAL) != 5)
        return 1;
    return recv(fd, answer, 5, MSG_WAITALL) == 5 && memcmp(answer, "ping\n", 5) == 0 ? 0 : 1;
}

int serve(int listener)
{
    char request[64];
    for (;;) {
        struct pollfd pending = {.fd = listener, .events = POLLIN};
        if (poll(&pending, 1, 1000) <= 0)
            return -1;
        int fd = accept(listener, NULL, NULL);
        if (fd < 0) {
#ifdef FIXED
            if (errno != EINTR && errno != ECONNABORTED)
                return -1;
#endif
            continue;
        }
        ssize_t n = recv(fd, request, sizeof request, 0);
        int failed = n < 0 || send(fd, request, (size_t)n, MSG_NOSIGNAL) != n;
        close(fd);
        return failed ? -1 : 0;
    }
}

int main(void)
{
    int status = 1, listener = socket(AF_UNIX, SOCK_STREAM, 0);
    if (listener < 0 || bind(listener, (struct sockaddr *)&address, sizeof address) != 0) {
        perror("echod");
        return 1;
    }
    pid_t child = -1;
    int failed = listen(listener, 4) != 0 || (child = fork()) < 0;
    if (child == 0) {
        close(listener);
        _exit(client());
    }
    if (failed || serve(listener) != 0) {
        perror("echod");
        failed = 1;
    }
    close(listener);
    unlink("echo.sock");
    while (child > 0 && waitpid(child, &status, 0) < 0)
        if (errno != EINTR)
            return 1;
    return failed || status != 0 ? 1 : 0;
}
