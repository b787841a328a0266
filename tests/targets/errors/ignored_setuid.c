/* Bad: goes on with the privileges that it could not give up. Build with -DFIXED for the twin. */
#define _GNU_SOURCE
#include <stdio.h>
#include <unistd.h>

int main(void)
{
#ifdef FIXED
    if (setresuid(getuid(), getuid(), getuid()) != 0) {
        perror("setresuid");
        return 1;
    }
#else
    (void)!setresuid(getuid(), getuid(), getuid());
#endif
    puts("serving");
    return fflush(stdout) != 0;
}
