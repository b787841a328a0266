/* Coverage of a program with a main of its own: one byte per hashed place in a map of 64 KiB, shared with the fuzzer
   when $FIREDAMP_COVERAGE_FD names a descriptor of it. Behind the map lies the table of what was compared. The program sees neither the variable nor the descriptor. */
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "monitor.h"
#include "operands.h"

enum { MAP_BITS = 16, MAP_BYTES = 1 << MAP_BITS };

extern const char __ehdr_start[];
static uint8_t firedamp_private_map[MAP_BYTES];
static uint8_t *firedamp_map = firedamp_private_map;
uint8_t firedamp_comparing;

void __sanitizer_cov_trace_pc(void) {
  uint32_t offset = (uint32_t)((uintptr_t)__builtin_return_address(0) - (uintptr_t)__ehdr_start);
  uint8_t *count = &firedamp_map[offset * 0x9e3779b1u >> (32 - MAP_BITS)]; /* Knuth's multiplicative hash */
  *count += *count != UINT8_MAX;
}

static void firedamp_share_operands(int fd) {
  void *table = mmap(0, sizeof(struct firedamp_operands), PROT_READ | PROT_WRITE, MAP_SHARED, fd, MAP_BYTES);
  if (table == MAP_FAILED) return;
  firedamp_record_in(table);
  firedamp_comparing = firedamp_recording();
}

__attribute__((constructor(101))) static void firedamp_share_map(void) {
  const char *number = getenv("FIREDAMP_COVERAGE_FD");
  if (!number) return;
  int fd = atoi(number);
  struct stat status;
  if (!fstat(fd, &status) && status.st_size >= MAP_BYTES) {
    void *map = mmap(0, MAP_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (map != MAP_FAILED) firedamp_map = map;
  }
#ifndef FIREDAMP_SHARED_OBJECT
  if (!fstat(fd, &status) && status.st_size >= (off_t)(MAP_BYTES + sizeof(struct firedamp_operands))) firedamp_share_operands(fd);
  /* Not in a library, whose constructor comes before the program's. */
  close(fd);
  unsetenv("FIREDAMP_COVERAGE_FD");
#endif
}
