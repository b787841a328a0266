/* bad: "E" -> format-arguments in report */
/* good: "I" */
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

__attribute__((noinline)) void report(int level, const char *what) {
  char line[64];
  if (level == 'E')
#ifdef FIXED
    snprintf(line, sizeof line, "error: %s in line %d", what, 7);
#else
    snprintf(line, sizeof line, "error: %s in line %d", what);
#endif
  else
    snprintf(line, sizeof line, "info: %s, %.2f %%", what, 99.5);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  if (size) report(data[0], "input");
  return 0;
}
