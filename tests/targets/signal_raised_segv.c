/* bad: "P" -> signal-SIGSEGV in stop_here */
/* good: "p" */
#include <signal.h>
#include <stddef.h>
#include <stdint.h>

static volatile int stopped;

/* no access took place: the program sent the signal to itself */
__attribute__((noinline)) void stop_here(void) {
#ifndef FIXED
  raise(SIGSEGV);
#endif
  stopped = 1;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  if (size > 0 && data[0] == 'P') stop_here();
  return 0;
}
