/* Puts a letter together from a heading and a closing. Both come from one function that says NULL when it fails.
 * BUG: only one of its two callers asks. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

char *slurp(const char *path)
{
    char *text = calloc(1, 256);
    FILE *file = fopen(path, "r");
    if (text == NULL || file == NULL || fgets(text, 256, file) == NULL) {
        perror(path);
        free(text);
        text = NULL;
    } else
        text[strcspn(text, "\n")] = '\0';
    if (file != NULL)
        fclose(file);
    return text;
}

int print_heading(FILE *out)
{
    char *text = slurp("heading.txt");
    if (text == NULL)
        return -1;
    int n = fprintf(out, "%s,\n\n", text);
    free(text);
    return n < 0 ? -1 : 0;
}

int print_closing(FILE *out)
{
    char *text = slurp("closing.txt");
#ifdef FIXED
    if (text == NULL)
        return -1;
#endif
    int n = fprintf(out, "\n%s\n", text);
    free(text);
    return n < 0 ? -1 : 0;
}

int main(void)
{
    if (print_heading(stdout) != 0 || printf("we are closed on Monday.\n") < 0 || print_closing(stdout) != 0 ||
        fclose(stdout) != 0) {
        fprintf(stderr, "letter: not written\n");
        return 1;
    }
    return 0;
}
