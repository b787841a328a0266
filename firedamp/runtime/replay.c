/* main of `replay`: each file named on the command line goes once through LLVMFuzzerTestOneInput.
   The input lies in a heap block of exactly its size, so that a read past its end leaves the block.
   readv, since the proof of the binary counts the fortified functions' plain twins and must not count ours. */
#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include "input.h"

extern int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
__attribute__((weak)) int LLVMFuzzerInitialize(int *argc, char ***argv);
__attribute__((weak)) int firedamp_serve(const char *seconds); /* serve.c, in sanitized builds */

enum { CANNOT_READ = 66 }; /* EX_NOINPUT of sysexits.h */

static void firedamp_refuse(const char *path) {
  perror(path);
  exit(CANNOT_READ);
}

__attribute__((visibility("hidden"))) uint8_t *firedamp_read(const char *path, size_t *size) {
  struct stat status;
  int fd = open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0 || fstat(fd, &status)) firedamp_refuse(path);
  uint8_t *bytes = malloc((size_t)status.st_size);
  if (!bytes && status.st_size) firedamp_refuse(path);
  for (*size = 0; *size < (size_t)status.st_size;) {
    struct iovec rest = {bytes + *size, (size_t)status.st_size - *size};
    ssize_t count = readv(fd, &rest, 1);
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) firedamp_refuse(path);
    *size += (size_t)count;
  }
  close(fd);
  return bytes;
}

/* Most damage to the heap is noticed when the allocator comes by. A large block brings it by the free blocks, which are
   merged for it, and by the top of the heap; sanitized builds have their own ways. */
static void firedamp_pass_over_heap(void) {
  enum { LARGE = 1 << 16 };
  void *volatile block = malloc(LARGE);
  free(block);
}

static const uint8_t *firedamp_bytes;
static size_t firedamp_size;

void firedamp_each_input(firedamp_look *look, void *context) {
  if (firedamp_bytes) look(context, "input", firedamp_bytes, firedamp_size);
}

/* Weak: a harness that firedamp-cc links may bring a main, as it may beside libFuzzer. */
__attribute__((weak)) int main(int argc, char **argv) {
  if (LLVMFuzzerInitialize) LLVMFuzzerInitialize(&argc, &argv);
  if (firedamp_serve && argc == 3 && !strcmp(argv[1], "--serve")) return firedamp_serve(argv[2]);
  for (int i = 1; i < argc; i++) {
    size_t size;
    uint8_t *bytes = firedamp_read(argv[i], &size);
    firedamp_bytes = bytes;
    firedamp_size = size;
    LLVMFuzzerTestOneInput(bytes, size);
    firedamp_pass_over_heap();
    firedamp_bytes = NULL;
    free(bytes);
  }
  return 0;
}
