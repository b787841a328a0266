/* Lists the words of a text, the last one first. The table's nodes are checked.
 * BUG: the copy of a long word is kept on the heap, and that small later allocation is not. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct word {
    struct word *next;
    char *text;
    char small[8];
};

int add_word(struct word **list, const char *text)
{
    struct word *word = calloc(1, sizeof *word);
    if (word == NULL)
        return -1;
    word->text = word->small;
    if (strlen(text) >= sizeof word->small) {
        word->text = malloc(strlen(text) + 1);
#ifdef FIXED
        if (word->text == NULL) {
            free(word);
            return -1;
        }
#endif
    }
    strcpy(word->text, text);
    word->next = *list;
    *list = word;
    return 0;
}

void free_words(struct word *list)
{
    while (list != NULL) {
        struct word *next = list->next;
        if (list->text != list->small)
            free(list->text);
        free(list);
        list = next;
    }
}

int main(void)
{
    struct word *list = NULL;
    char text[128];
    int failed = 0;
    while (!failed && scanf("%127s", text) == 1)
        failed = add_word(&list, text) != 0;
    if (failed || ferror(stdin)) {
        perror("wordlist");
        free_words(list);
        return 1;
    }
    for (struct word *word = list; word != NULL; word = word->next)
        printf("%s\n", word->text);
    free_words(list);
    if (fclose(stdout) != 0) {
        perror("wordlist: stdout");
        return 1;
    }
    return 0;
}
