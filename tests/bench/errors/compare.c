/* Compares old/NAME with new/NAME for each name of a list and goes on after those that it cannot compare.
 * BUG: the second of the two streams cannot be opened, and the first one leaks, in a loop. */
#include <stdio.h>
#include <string.h>

int same(const char *name)
{
    char path[128];
    snprintf(path, sizeof path, "old/%s", name);
    FILE *left = fopen(path, "r");
    if (left == NULL)
        return -1;
    snprintf(path, sizeof path, "new/%s", name);
    FILE *right = fopen(path, "r");
    if (right == NULL) {
#ifdef FIXED
        fclose(left);
#endif
        return -1;
    }
    int a, b;
    do {
        a = getc(left);
        b = getc(right);
    } while (a == b && a != EOF);
    int failed = ferror(left) || ferror(right);
    fclose(left);
    fclose(right);
    return failed ? -1 : a == b;
}

int main(void)
{
    char name[64];
    int status = 0;
    while (fgets(name, sizeof name, stdin) != NULL) {
        name[strcspn(name, "\n")] = '\0';
        int result = same(name);
        if (result < 0) {
            perror(name);
            status = 2;
        } else
            printf("%s: %s\n", name, result ? "same" : "differs");
    }
    if (ferror(stdin) || fclose(stdout) != 0) {
        perror("compare");
        return 2;
    }
    return status;
}
