/* Grants a request and puts it on the audit log. BUG: the log's descriptor is used unseen, even when its open failed. */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

int record(const char *user, const char *what)
{
    char line[128];
    int length = snprintf(line, sizeof line, "%s may %s\n", user, what);
    int log = open("audit.log", O_WRONLY | O_CREAT | O_APPEND, 0600);
#ifdef FIXED
    if (log < 0)
        return -1;
    int failed = write(log, line, (size_t)length) != length;
    return close(log) != 0 || failed ? -1 : 0;
#else
    (void)!write(log, line, (size_t)length);
    close(log);
    return 0;
#endif
}

int main(void)
{
    char user[64];
    while (fgets(user, sizeof user, stdin) != NULL) {
        user[strcspn(user, "\n")] = '\0';
        if (record(user, "print") != 0) {
            perror("audit.log");
            return 1;
        }
        printf("granted: %s\n", user);
    }
    if (ferror(stdin) || fclose(stdout) != 0) {
        perror("audit");
        return 1;
    }
    return 0;
}
