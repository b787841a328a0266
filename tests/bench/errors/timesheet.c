/* Adds up hours per line and writes a report.
 * BUG: the heading's write is checked, those of the lines are not. */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

int put(int fd, const char *text)
{
    size_t length = strlen(text), done = 0;
    while (done < length) {
        ssize_t n = write(fd, text + done, length - done);
        if (n < 0)
            return -1;
        done += (size_t)n;
    }
    return 0;
}

int put_lines(int fd, FILE *input)
{
    char line[128], name[64], out[128];
    double hours, total = 0;
    while (fgets(line, sizeof line, input) != NULL) {
        if (sscanf(line, "%63s %lf", name, &hours) != 2)
            continue;
        total += hours;
        snprintf(out, sizeof out, "%-20s %6.1f %8.1f\n", name, hours, total);
#ifdef FIXED
        if (put(fd, out) != 0)
            return -1;
#else
        put(fd, out);
#endif
    }
    return ferror(input) ? -1 : 0;
}

int main(void)
{
    FILE *input = fopen("hours.txt", "r");
    if (input == NULL) {
        perror("hours.txt");
        return 1;
    }
    int fd = open("report.txt", O_WRONLY | O_CREAT | O_EXCL, 0644);
    if (fd < 0) {
        perror("report.txt");
        return 1;
    }
    int failed = put(fd, "name                  hours    total\n") != 0 || put_lines(fd, input) != 0;
    fclose(input);
    if (close(fd) != 0 || failed) {
        perror("timesheet");
        unlink("report.txt");
        return 1;
    }
    return 0;
}
