/* Compiled with --coverage: one error branch that a single fault reaches, and one that only two could reach. */
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

int main(void) {
  int out = open("out.txt", O_WRONLY | O_CREAT | O_EXCL, 0644);
  if (out < 0) return 1;
  if (write(out, "hello\n", 6) != 6) {
    fputs("write failed\n", stderr); /* a fault reaches this line */
    if (unlink("out.txt") != 0)
      return 3; /* only a pair reaches this line */
    return 2;
  }
  if (getppid() == 1234567890)
    return 4; /* nothing reaches this line */
  return close(out) != 0;
}
