/* bad: "N" -> exit in usage */
/* good: "n" */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

static volatile int shown;

__attribute__((noinline)) void usage(void) {
  shown = 1;
#ifndef FIXED
  exit(0); /* even with status 0 the caller is gone */
#endif
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  if (size > 0 && data[0] == 'N') usage();
  return 0;
}
