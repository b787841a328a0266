/* Sorts a list with sort(1), the child's output in a file.
 * BUG: dup2's failure is ignored, and what belongs into the file goes to the terminal. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

int sort_into(int fd)
{
#ifdef FIXED
    if (dup2(fd, STDOUT_FILENO) < 0)
        return 126;
#else
    dup2(fd, STDOUT_FILENO);
#endif
    close(fd);
    execl("/usr/bin/sort", "sort", "list.txt", (char *)NULL);
    return 127;
}

int main(void)
{
    int status, fd = open("sorted.txt", O_WRONLY | O_CREAT | O_EXCL, 0644);
    if (fd < 0) {
        perror("sorted.txt");
        return 1;
    }
    pid_t child = fork();
    if (child == 0)
        _exit(sort_into(fd));
    while (child > 0 && waitpid(child, &status, 0) < 0)
        if (errno != EINTR) {
            perror("filter");
            return 1;
        }
    if (close(fd) != 0 || child < 0 || status != 0) {
        fprintf(stderr, "filter: the list is not sorted\n");
        unlink("sorted.txt");
        return 1;
    }
    return 0;
}
