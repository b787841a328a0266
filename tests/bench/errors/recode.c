/* Rewrites a text with LF line ends. BUG: when the text cannot be read to its end, its buffer is freed twice. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int load(const char *path, char **text, size_t *length)
{
    size_t size = 512;
    ssize_t n;
    int fd = open(path, O_RDONLY);
    if (fd < 0)
        return -1;
    *length = 0;
    *text = malloc(size);
    while (*text != NULL && (n = read(fd, *text + *length, size - *length)) != 0) {
        if (n < 0) {
            free(*text);
#ifdef FIXED
            *text = NULL;
#endif
            close(fd);
            return -1;
        }
        *length += (size_t)n;
        if (*length < size)
            continue;
        char *larger = realloc(*text, size *= 2);
        if (larger == NULL)
            free(*text);
        *text = larger;
    }
    close(fd);
    return *text == NULL ? -1 : 0;
}

int main(void)
{
    char *text = NULL;
    size_t length = 0, kept = 0;
    int status = 1;
    if (load("letter.txt", &text, &length) != 0) {
        perror("letter.txt");
        goto out;
    }
    for (size_t i = 0; i < length; i++)
        if (text[i] != '\r')
            text[kept++] = text[i];
    if (fwrite(text, 1, kept, stdout) != kept || fflush(stdout) != 0) {
        perror("stdout");
        goto out;
    }
    status = 0;
out:
    free(text);
    return status;
}
