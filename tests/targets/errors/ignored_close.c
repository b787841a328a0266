/* A close that fails is ignored: no data is lost in this run, so a hint. Build with -DFIXED for the twin. */
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

int main(void)
{
    int fd = open("out.txt", O_WRONLY | O_CREAT | O_TRUNC, 0666);
    if (fd < 0 || write(fd, "precious\n", 9) != 9) {
        perror("out.txt");
        return 1;
    }
#ifdef FIXED
    if (close(fd) != 0) {
        perror("out.txt");
        return 1;
    }
#else
    close(fd);
#endif
    return 0;
}
