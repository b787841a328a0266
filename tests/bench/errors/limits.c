/* Applies the limits of a configuration of some pages.
 * BUG: an error while a later page is read ends it as its end does; the limits below it are not applied. */
#include <stdio.h>
#include <string.h>

struct limits {
    long connections, requests, applied;
};

int read_limits(struct limits *limits, const char *path)
{
    char line[128];
    FILE *file = fopen(path, "r");
    if (file == NULL)
        return -1;
    while (fgets(line, sizeof line, file) != NULL) {
        if (line[0] == '#')
            continue;
        if (sscanf(line, "connections %ld", &limits->connections) == 1 ||
            sscanf(line, "requests %ld", &limits->requests) == 1)
            limits->applied++;
    }
#ifdef FIXED
    if (ferror(file)) {
        fclose(file);
        return -1;
    }
#endif
    fclose(file);
    return 0;
}

int main(void)
{
    struct limits limits = {1000000, 1000000, 0};
    if (read_limits(&limits, "limits.conf") != 0) {
        perror("limits.conf");
        return 1;
    }
    printf("%ld limits: %ld connections, %ld requests\n", limits.applied, limits.connections, limits.requests);
    if (fclose(stdout) != 0) {
        perror("stdout");
        return 1;
    }
    return 0;
}
