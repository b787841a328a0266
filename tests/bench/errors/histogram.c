/* Writes a histogram of the bytes of its input. Each print is checked.
 * BUG: what the prints left in the buffer is written by fclose, and nobody asks that. */
#include <stdio.h>

int write_histogram(const long counts[256])
{
    FILE *out = fopen("histogram.txt", "wx");
    if (out == NULL)
        return -1;
    for (int byte = 0; byte < 256; byte++)
        if (counts[byte] > 0 && fprintf(out, "%02x %ld\n", (unsigned)byte, counts[byte]) < 0) {
            fclose(out);
            return -1;
        }
    int failed = ferror(out);
#ifdef FIXED
    if (fclose(out) != 0)
        failed = 1;
#else
    fclose(out);
#endif
    if (failed)
        remove("histogram.txt");
    return failed ? -1 : 0;
}

int main(void)
{
    long counts[256] = {0};
    for (int c; (c = getchar()) != EOF;)
        counts[c]++;
    if (ferror(stdin)) {
        perror("histogram: input");
        return 1;
    }
    if (write_histogram(counts) != 0) {
        perror("histogram.txt");
        return 1;
    }
    return 0;
}
