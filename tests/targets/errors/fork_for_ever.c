/* fork is tried again each second, for ever; fixed: with longer and longer pauses, seven times. */
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

int main(void)
{
    int status;
    unsigned pause_s = 1;
    pid_t child;
    while ((child = fork()) < 0) {
#ifdef FIXED
        if (pause_s > 64) {
            perror("fork");
            return 1;
        }
        sleep(pause_s);
        pause_s *= 2;
#else
        sleep(pause_s);
#endif
    }
    if (child == 0)
        _exit(3);
    if (waitpid(child, &status, 0) < 0) {
        perror("waitpid");
        return 1;
    }
    return WEXITSTATUS(status) == 3 ? 0 : 1;
}
