/* bad: "EXIT" -> exit in fatal_error */
/* good: "exit" */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

static volatile int failed;

__attribute__((noinline)) void fatal_error(void) {
  failed = 1;
#ifndef FIXED
  exit(2);
#endif
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  if (size == 4 && memcmp(data, "EXIT", 4) == 0) fatal_error();
  return 0;
}
