/* What a program with a main of its own was given: the words of its command line, the file that is its standard input,
   and the files that those words name. Looked at when a guard asks, so it costs nothing before. Variables of the
   environment, pipes and sockets are not seen. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "input.h"

enum { FILE_MOST_BYTES = 16 << 20 };

static int firedamp_argc;
static char **firedamp_argv;

/* glibc gives main's arguments to constructors, too. */
__attribute__((constructor(101))) static void firedamp_keep_arguments(int argc, char **argv) {
  firedamp_argc = argc;
  firedamp_argv = argv;
}

static int firedamp_look_in_file(firedamp_look *look, void *context, const char *what, int fd) {
  struct stat status;
  int enough = 0;
  if (fstat(fd, &status) || !S_ISREG(status.st_mode) || status.st_size <= 0) return 0;
  size_t size = status.st_size < FILE_MOST_BYTES ? (size_t)status.st_size : FILE_MOST_BYTES;
  unsigned char *bytes = mmap(NULL, size, PROT_READ, MAP_PRIVATE, fd, 0);
  if (bytes == MAP_FAILED) return 0;
  enough = look(context, what, bytes, size);
  munmap(bytes, size);
  return enough;
}

static int firedamp_look_in_argument(firedamp_look *look, void *context, int number) {
  const char *word = firedamp_argv[number];
  char what[40];
  snprintf(what, sizeof what, "argument %d", number);
  if (look(context, what, (const unsigned char *)word, strlen(word))) return 1;
  int fd = open(word, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
  if (fd < 0) return 0;
  snprintf(what, sizeof what, "file of argument %d", number);
  int enough = firedamp_look_in_file(look, context, what, fd);
  close(fd);
  return enough;
}

void firedamp_each_input(firedamp_look *look, void *context) {
  if (firedamp_look_in_file(look, context, "standard input", STDIN_FILENO)) return;
  for (int i = 1; i < firedamp_argc && firedamp_argv[i]; i++)
    if (firedamp_look_in_argument(look, context, i)) return;
}
