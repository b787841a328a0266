/* Prints a template; a line "@include NAME" is replaced by that file.
 * BUG: only a template with an include takes that path, and an include that cannot be read is left out in silence. */
#include <stdio.h>
#include <string.h>

int print_file(const char *path, int depth);

int print_line(char *line, int depth)
{
    if (strncmp(line, "@include ", 9) != 0)
        return fputs(line, stdout) == EOF ? -1 : 0;
    line[strcspn(line, "\n")] = '\0';
    if (depth > 4)
        return -1;
#ifdef FIXED
    return print_file(line + 9, depth + 1);
#else
    print_file(line + 9, depth + 1);
    return 0;
#endif
}

int print_file(const char *path, int depth)
{
    char line[128];
    int failed = 0;
    FILE *file = fopen(path, "r");
    if (file == NULL)
        return -1;
    while (!failed && fgets(line, sizeof line, file) != NULL)
        failed = print_line(line, depth) != 0;
    if (ferror(file))
        failed = 1;
    fclose(file);
    return failed ? -1 : 0;
}

int main(void)
{
    if (print_file("page.tmpl", 0) != 0) {
        fprintf(stderr, "expand: the page is not whole\n");
        return 1;
    }
    if (fclose(stdout) != 0) {
        perror("stdout");
        return 1;
    }
    return 0;
}
