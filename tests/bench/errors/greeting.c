/* Greets the person that a settings file names. BUG: the very first allocation is used unchecked. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct settings {
    char name[64];
    int times;
};

struct settings *default_settings(void)
{
    struct settings *settings = malloc(sizeof *settings);
#ifdef FIXED
    if (settings == NULL)
        return NULL;
#endif
    strcpy(settings->name, "world");
    settings->times = 1;
    return settings;
}

int read_settings(struct settings *settings, const char *path)
{
    char line[128];
    FILE *file = fopen(path, "r");
    if (file == NULL)
        return -1;
    while (fgets(line, sizeof line, file) != NULL) {
        sscanf(line, "name=%63s", settings->name);
        sscanf(line, "times=%d", &settings->times);
    }
    int failed = ferror(file);
    fclose(file);
    return failed ? -1 : 0;
}

int main(void)
{
    struct settings *settings = default_settings();
    if (settings == NULL || read_settings(settings, "greeting.conf") != 0) {
        perror("greeting");
        free(settings);
        return 1;
    }
    for (int turn = 0; turn < settings->times; turn++)
        printf("hello, %s\n", settings->name);
    free(settings);
    if (fclose(stdout) != 0) {
        perror("greeting: stdout");
        return 1;
    }
    return 0;
}
