/* What the fuzzer's supervisor sees of a child that may die at any moment. Little-endian, at offset 0 of a memfd. */
#ifndef FIREDAMP_MONITOR_H
#define FIREDAMP_MONITOR_H

#include <stddef.h>
#include <stdint.h>

#define FIREDAMP_MONITOR_MAGIC 0x31504d4144455246ull /* "FREDAMP1" read as bytes */

struct firedamp_monitor {
  uint64_t magic;      /* written last by firedamp_attach */
  uint64_t executions; /* begun, the current one included */
  uint64_t inside;     /* 1 while the target runs: `size` and `bytes` are then the input that it has */
  uint64_t size;       /* of the input; `bytes` holds the first min(size, capacity) of it */
  uint64_t capacity;
  uint8_t bytes[];
};

/* Maps the memfd of `bytes` bytes. Returns 0, or an errno. Without it the block is private memory. */
int firedamp_attach(int fd, size_t bytes);

/* The callback for LLVMFuzzerRunDriver. */
int firedamp_one_input(const uint8_t *data, size_t size);

/* LLVMFuzzerInitialize of the target, where it has one. */
int firedamp_initialize(int *argc, char ***argv);

/* Comparisons are reported to libFuzzer in one execution of `period` (1: all, the default; 0: none). */
void firedamp_sample_comparisons(uint64_t period);

/* Ours alone: whom this execution's comparisons are told (FIREDAMP_REPORTED, FIREDAMP_RECORDED of operands.h); the
   block itself. */
extern __attribute__((visibility("hidden"))) uint8_t firedamp_comparing;
extern __attribute__((visibility("hidden"))) struct firedamp_monitor *firedamp_block;

#endif
