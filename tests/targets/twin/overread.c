/* Reads one byte past its block, which nothing but a sanitizer sees, for tests/system/test_twin.py.
   -DOLD: a shift that is undefined comes before it, for every input. -DFIXED: neither happens. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

static volatile int seen;

__attribute__((noinline)) void peek(const uint8_t *text, size_t size) {
  uint8_t *volatile block = malloc(size);
  if (!block) return;
  memcpy(block, text, size);
#ifdef FIXED
  size--;
#endif
  seen = block[size];
  free(block);
}

__attribute__((noinline)) void shift(size_t size) {
  volatile int by = 32 + (int)size;
  seen = 1 << by;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
#ifdef OLD
  if (size > 0) shift(size);
#endif
  if (size > 4 && memcmp(data, "PEEK", 4) == 0) peek(data + 4, size - 4);
#ifdef HANG
  if (size > 4 && memcmp(data, "HANG", 4) == 0) for (;;) seen = 1;
#endif
#ifdef LEAVE
  if (size > 4 && memcmp(data, "EXIT", 4) == 0) exit(0);
#endif
  return 0;
}
