/* Bad: when the second part of an object cannot be had, the first is kept and the caller is told that all is well: what
   is missing is left out of the file. Build with -DFIXED for the twin. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct person {
    char *name;
    char *street;
};

static int build(struct person *person)
{
    person->name = strdup("Rossi");
    person->street = strdup("Via Roma 1");
#ifdef FIXED
    if (person->name == NULL || person->street == NULL) {
        fputs("out of memory\n", stderr);
        free(person->name);
        free(person->street);
        return -1;
    }
#endif
    return 0;
}

static int save(const struct person *person)
{
    FILE *file = fopen("person.txt", "w");
    if (file == NULL) {
        perror("person.txt");
        return -1;
    }
    if (person->name != NULL)
        fprintf(file, "name %s\n", person->name);
    if (person->street != NULL)
        fprintf(file, "street %s\n", person->street);
    if (fclose(file) != 0) {
        perror("person.txt");
        return -1;
    }
    return 0;
}

int main(void)
{
    struct person person;
    if (build(&person) != 0 || save(&person) != 0)
        return 1;
    free(person.name);
    free(person.street);
    return 0;
}
