/* Bad: when a block cannot be had, the function that fails frees what its caller frees as well.
   Build with -DFIXED for the twin. */
#include <stdio.h>
#include <stdlib.h>

struct table {
    int *keys;
    int *values;
};

static int fill(struct table *table)
{
    table->keys = malloc(40 * sizeof *table->keys);
    table->values = table->keys != NULL ? malloc(40 * sizeof *table->values) : NULL;
    if (table->values == NULL) {
        free(table->keys);
#ifdef FIXED
        table->keys = NULL;
#endif
        return -1;
    }
    return 0;
}

static void release(struct table *table)
{
    free(table->keys);
    free(table->values);
}

int main(void)
{
    struct table table;
    int failed = fill(&table);
    release(&table);
    if (failed)
        fputs("out of memory\n", stderr);
    return failed != 0;
}
