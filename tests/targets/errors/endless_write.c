/* A write that fails is tried again for ever; no clean run makes a second one. */
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

int main(void)
{
    int file = open("out.txt", O_WRONLY | O_CREAT | O_TRUNC, 0644);
    if (file < 0) {
        perror("out.txt");
        return 1;
    }
    while (write(file, "hello\n", 6) != 6) {
#ifdef FIXED
        perror("out.txt");
        return 1;
#endif
    }
    if (close(file) != 0) {
        perror("out.txt");
        return 1;
    }
    return 0;
}
