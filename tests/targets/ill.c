/* bad: "M" -> ill in unreachable_case */
/* good: "m" */
#include <stddef.h>
#include <stdint.h>

static volatile int reached;

__attribute__((noinline)) void unreachable_case(void) {
  reached = 1;
#ifndef FIXED
  __builtin_trap();
#endif
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  if (size > 0 && data[0] == 'M') unreachable_case();
  return 0;
}
