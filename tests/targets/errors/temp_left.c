/* Bad: when the result cannot be written whole, the temporary file stays behind. Build with -DFIXED for the twin. */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

int main(void)
{
    char name[4096];
    const char *folder = getenv("TMPDIR");
    snprintf(name, sizeof name, "%s/result.XXXXXX", folder != NULL ? folder : "/tmp");
    int fd = mkstemp(name);
    if (fd < 0) {
        perror(name);
        return 1;
    }
    if (write(fd, "result\n", 7) != 7 || close(fd) != 0) {
        perror("temporary file");
#ifdef FIXED
        unlink(name);
#endif
        return 1;
    }
    if (unlink(name) != 0) {
        perror(name);
        return 1;
    }
    return puts("done") < 0 || fflush(stdout) != 0;
}
