/* Bad: says that it could not read, and reports success. Build with -DFIXED for the twin. */
#include <stdio.h>

int main(void)
{
    FILE *in = fopen("in.txt", "r");
    if (in == NULL) {
        perror("in.txt");
        return 1;
    }
    int c;
    while ((c = getc(in)) != EOF)
        putchar(c);
    if (ferror(in)) {
        perror("in.txt");
#ifdef FIXED
        return 1;
#endif
    }
    fclose(in);
    if (fflush(stdout) != 0 || ferror(stdout)) {
        perror("stdout");
        return 1;
    }
    return 0;
}
