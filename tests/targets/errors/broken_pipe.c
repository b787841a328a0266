/* Bad: the other end of a socket goes, and takes the program along. Build with -DFIXED for the twin. */
#include <signal.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

static __attribute__((noinline)) int ask(int fd)
{
#ifdef FIXED
    return send(fd, "question\n", 9, MSG_NOSIGNAL) == 9 ? 0 : -1;
#else
    return write(fd, "question\n", 9) == 9 ? 0 : -1;
#endif
}

int main(void)
{
    int ends[2];
    if (socketpair(AF_UNIX, SOCK_STREAM, 0, ends) != 0 || ask(ends[0]) != 0) {
        perror("peer");
        return 1;
    }
    return 0;
}
