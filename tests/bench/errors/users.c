/* Adds a user to a list by way of a new file. BUG: the old list goes first, and the rename after it may fail. */
#include <stdio.h>
#include <unistd.h>

int copy_lines(FILE *from, FILE *to)
{
    char line[128];
    while (fgets(line, sizeof line, from) != NULL)
        if (fputs(line, to) == EOF)
            return -1;
    return ferror(from) ? -1 : 0;
}

int replace(const char *new, const char *old)
{
#ifndef FIXED
    if (unlink(old) != 0)
        return -1;
#endif
    if (rename(new, old) != 0) {
        perror("users: rename");
        unlink(new);
        return -1;
    }
    return 0;
}

int add_user(const char *name)
{
    FILE *old = fopen("users", "r");
    if (old == NULL)
        return -1;
    FILE *new = fopen("users.new", "wx");
    if (new == NULL) {
        fclose(old);
        return -1;
    }
    int failed = copy_lines(old, new) != 0 || fprintf(new, "%s:1001\n", name) < 0 || fflush(new) != 0;
    if (!failed && fsync(fileno(new)) != 0)
        failed = 1;
    fclose(old);
    if (fclose(new) != 0 || failed) {
        unlink("users.new");
        return -1;
    }
    return replace("users.new", "users");
}

int main(void)
{
    if (add_user("ada") != 0) {
        fprintf(stderr, "users: ada is not added\n");
        return 1;
    }
    return 0;
}
