/* bad: "7" -> format-arguments in show */
/* good: "" */
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

__attribute__((noinline)) int show(size_t count) {
  char line[64];
#ifdef FIXED
  return snprintf(line, sizeof line, "%zu", count);
#else
  return snprintf(line, sizeof line, "%s", count); /* well for 0 alone, which is "(null)" */
#endif
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  (void)data;
  return show(size) < 0;
}
