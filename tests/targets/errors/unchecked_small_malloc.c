/* Bad: a small block is not asked for twice, but taken as given. Memory was there before it, so that the heap has room
   and no system call is made for it. Build with -DFIXED for the twin. */
#include <stdio.h>
#include <stdlib.h>

struct node {
    int value;
    struct node *next;
};

static struct node *push(struct node *list, int value)
{
    struct node *node = malloc(sizeof *node);
#ifdef FIXED
    if (node == NULL) {
        fputs("out of memory\n", stderr);
        exit(1);
    }
#endif
    node->value = value;
    node->next = list;
    return node;
}

int main(void)
{
    char *line = malloc(100);
    if (line == NULL) {
        fputs("out of memory\n", stderr);
        return 1;
    }
    struct node *list = NULL;
    for (int i = 0; i < 5; i++)
        list = push(list, i);
    int sum = 0;
    while (list != NULL) {
        struct node *next = list->next;
        sum += list->value;
        free(list);
        list = next;
    }
    free(line);
    return sum != 10;
}
