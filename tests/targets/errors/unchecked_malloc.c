/* Bad: memory that was not given is written to. Build with -DFIXED for the twin. */
#include <stdio.h>
#include <stdlib.h>

int main(void)
{
    volatile char *table = malloc(1 << 20);
#ifdef FIXED
    if (table == NULL) {
        fputs("out of memory\n", stderr);
        return 1;
    }
#endif
    for (int i = 0; i < 1 << 20; i++)
        table[i] = 'x';
    int last = table[(1 << 20) - 1];
    free((void *)table);
    return last != 'x';
}
