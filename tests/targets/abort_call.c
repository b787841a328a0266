/* bad: "QUIT" -> abort in give_up */
/* good: "QUI" */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

static volatile int gave_up;

__attribute__((noinline)) void give_up(void) {
  gave_up = 1;
#ifndef FIXED
  abort();
#endif
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  if (size == 4 && memcmp(data, "QUIT", 4) == 0) give_up();
  return 0;
}
