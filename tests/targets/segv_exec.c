/* bad: "L" -> segv-exec in dispatch */
/* good: "l" */
#include <stddef.h>
#include <stdint.h>

static uint8_t bytes[64];
static volatile int done;

static void plain(void) { done = 1; }

__attribute__((noinline)) void dispatch(void (*volatile handler)(void)) {
  handler();
  done = 2;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  void (*handler)(void) = plain;
#ifndef FIXED
  if (size > 0 && data[0] == 'L') handler = (void (*)(void))(uintptr_t)bytes;
#else
  (void)data, (void)size, (void)bytes;
#endif
  dispatch(handler);
  return 0;
}
