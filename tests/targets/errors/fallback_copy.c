/* Where rename(2) fails the file is copied by hand, and that copy is not checked: no single fault shows it. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void fail(const char *what) {
  perror(what);
  unlink("new.txt");
  unlink("copy.txt");
  exit(1);
}

static void copy_by_hand(const char *from, const char *to) {
  char line[64];
  int in = open(from, O_RDONLY), out = open(to, O_WRONLY | O_CREAT | O_TRUNC, 0644);
  if (in < 0 || out < 0) fail("open");
  ssize_t got;
  while ((got = read(in, line, sizeof line)) > 0) {
#ifdef FIXED
    if (write(out, line, got) != got) fail("write");
#else
    write(out, line, got);
#endif
  }
  if (got < 0 || close(out) != 0) fail("copy");
}

int main(void) {
  int out = open("new.txt", O_WRONLY | O_CREAT | O_TRUNC, 0644);
  if (out < 0 || write(out, "hello\n", 6) != 6 || close(out) != 0) fail("new.txt");
  if (rename("new.txt", "copy.txt") != 0) {
    copy_by_hand("new.txt", "copy.txt");
    if (unlink("new.txt") != 0) fail("unlink");
  }
  return 0;
}
