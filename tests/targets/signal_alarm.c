/* bad: "W" -> signal-SIGALRM in wait_long */
/* good: "w" */
#include <stddef.h>
#include <stdint.h>
#include <unistd.h>

__attribute__((noinline)) void wait_long(void) {
#ifndef FIXED
  ualarm(1000, 0); /* nobody handles SIGALRM */
  pause();
#endif
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  if (size > 0 && data[0] == 'W') wait_long();
  return 0;
}
