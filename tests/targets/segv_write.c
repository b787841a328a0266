/* bad: "POKE" -> segv-write in poke */
/* good: "peek" */
#include <stddef.h>
#include <stdint.h>
#include <string.h>

static const uint8_t table[4096] = {1};

__attribute__((noinline)) void poke(volatile uint8_t *cell) {
#ifndef FIXED
  *cell = 1;
#else
  (void)cell;
#endif
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  if (size >= 4 && memcmp(data, "POKE", 4) == 0) poke((volatile uint8_t *)(uintptr_t)table);
  return 0;
}
