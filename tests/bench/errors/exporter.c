/* Writes two parts of an export into a folder. BUG: when the folder cannot be entered, they land beside it. */
#include <stdio.h>
#include <unistd.h>

int enter(const char *folder)
{
#ifdef FIXED
    return chdir(folder);
#else
    if (chdir(folder) != 0)
        return 1;
    return 0;
#endif
}

int write_part(const char *name, const char *text)
{
    FILE *out = fopen(name, "w");
    if (out == NULL)
        return -1;
    int failed = fputs(text, out) == EOF;
    if (fclose(out) != 0 || failed) {
        remove(name);
        return -1;
    }
    return 0;
}

int main(void)
{
    if (enter("export") < 0) {
        perror("export");
        return 1;
    }
    if (write_part("names.csv", "ada\ngrace\n") != 0 || write_part("years.csv", "1815\n1906\n") != 0) {
        perror("exporter");
        return 1;
    }
    return 0;
}
