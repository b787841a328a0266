/* Reads a service's port; without a configuration (ENOENT) the default is right, any other failure is fatal.
 * BUG: the log is rotated before errno is asked, and says ENOENT of its own. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

void log_line(const char *text)
{
    unlink("service.log.old");
    int fd = open("service.log", O_WRONLY | O_CREAT | O_APPEND, 0640);
    if (fd < 0)
        return;
    if (write(fd, text, strlen(text)) < 0)
        fprintf(stderr, "service.log: cannot write\n");
    close(fd);
}

int configured_port(const char *path)
{
    char text[32];
    int fd = open(path, O_RDONLY);
    if (fd < 0) {
#ifdef FIXED
        int reason = errno;
        log_line("no configuration was read\n");
        errno = reason;
#else
        log_line("no configuration was read\n");
#endif
        return errno == ENOENT ? 8080 : -1;
    }
    ssize_t n = read(fd, text, sizeof text - 1);
    int reason = errno;
    close(fd);
    if (n < 0) {
        errno = reason;
        return -1;
    }
    text[n] = '\0';
    return atoi(text);
}

int main(void)
{
    int port = configured_port("service.conf");
    if (port < 0) {
        perror("service.conf");
        return 1;
    }
    printf("serving on port %d\n", port);
    if (fclose(stdout) != 0) {
        perror("stdout");
        return 1;
    }
    return 0;
}
