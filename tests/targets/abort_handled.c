/* bad: "K" -> abort in give_up */
/* good: "k" */
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <unistd.h>

static volatile int gave_up;

static void leave(int number) {
  (void)number;
  _exit(3);
}

__attribute__((noinline)) void give_up(void) {
  gave_up = 1;
#ifndef FIXED
  abort();
#endif
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  signal(SIGABRT, leave);
  if (size > 0 && data[0] == 'K') give_up();
  return 0;
}
