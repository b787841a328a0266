/* Delivers a message as its user: gives up its group and its user, then writes. BUG: setuid's failure is ignored. */
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

int drop_privileges(gid_t gid, uid_t uid)
{
    if (setgid(gid) != 0)
        return -1;
#ifdef FIXED
    if (setuid(uid) != 0)
        return -1;
#else
    setuid(uid);
#endif
    return 0;
}

int deliver(const char *path)
{
    static const char message[] = "Subject: hello\n\nhello\n";
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL, 0600);
    if (fd < 0)
        return -1;
    int failed = write(fd, message, sizeof message - 1) != (ssize_t)sizeof message - 1;
    if (close(fd) != 0 || failed) {
        unlink(path);
        return -1;
    }
    return 0;
}

int main(void)
{
    if (drop_privileges(getgid(), getuid()) != 0) {
        perror("deliver: privileges");
        return 1;
    }
    if (deliver("inbox.1") != 0) {
        perror("inbox.1");
        return 1;
    }
    return 0;
}
