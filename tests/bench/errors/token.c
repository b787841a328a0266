/* Writes a session token. BUG: without getrandom it takes what anybody can guess. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>
#include <unistd.h>

int random_bytes(unsigned char *bytes, size_t length)
{
    if (getrandom(bytes, length, 0) == (ssize_t)length)
        return 0;
#ifdef FIXED
    return -1;
#else
    srand((unsigned)getuid());
    for (size_t i = 0; i < length; i++)
        bytes[i] = (unsigned char)rand();
    return 0;
#endif
}

int main(void)
{
    unsigned char bytes[16];
    char text[2 * sizeof bytes + 2];
    if (random_bytes(bytes, sizeof bytes) != 0) {
        perror("token: no random bytes");
        return 1;
    }
    for (size_t i = 0; i < sizeof bytes; i++)
        sprintf(text + 2 * i, "%02x", bytes[i]);
    text[2 * sizeof bytes] = '\n';
    int fd = open("token", O_WRONLY | O_CREAT | O_EXCL, 0600);
    if (fd < 0) {
        perror("token");
        return 1;
    }
    int failed = write(fd, text, sizeof text - 1) != (ssize_t)sizeof text - 1;
    if (close(fd) != 0 || failed) {
        perror("token");
        unlink("token");
        return 1;
    }
    return 0;
}
