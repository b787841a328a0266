/* Unpacks a text archive: "d NAME" starts a folder, "f NAME TEXT" writes a file into it.
 * BUG: a folder that cannot be made is not noticed, and its files land in the one above. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

int start_folder(int top, const char *name)
{
    if (fchdir(top) != 0)
        return -1;
#ifdef FIXED
    if (mkdir(name, 0755) != 0 && errno != EEXIST)
        return -1;
    return chdir(name);
#else
    mkdir(name, 0755);
    if (chdir(name) != 0 && errno != ENOENT)
        return -1;
    return 0;
#endif
}

int write_file(const char *name, const char *text)
{
    FILE *file = fopen(name, "w");
    if (file == NULL)
        return -1;
    int failed = fprintf(file, "%s\n", text) < 0;
    return fclose(file) != 0 || failed ? -1 : 0;
}

int unpack(int top, FILE *archive)
{
    char line[128], name[32], text[64];
    while (fgets(line, sizeof line, archive) != NULL) {
        if (sscanf(line, "d %31s", name) == 1 && start_folder(top, name) != 0)
            return -1;
        if (sscanf(line, "f %31s %63s", name, text) == 2 && write_file(name, text) != 0)
            return -1;
    }
    return ferror(archive) ? -1 : 0;
}

int main(void)
{
    FILE *archive = fopen("archive", "r");
    int top = open(".", O_RDONLY | O_DIRECTORY);
    if (archive == NULL || top < 0 || unpack(top, archive) != 0) {
        perror("unpack");
        return 1;
    }
    fclose(archive);
    close(top);
    return 0;
}
