/* bad: "FMT:%2$d" -> fortify-format-hole in translate */
/* good: "FMT:%1$d" */
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

__attribute__((noinline)) int translate(const char *pattern) {
  char line[64];
#ifdef FIXED
  snprintf(line, sizeof line, "%s", pattern);
#else
  snprintf(line, sizeof line, pattern, 1, 2);
#endif
  return line[0];
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  char pattern[32] = {0};
  if (size < 4 || memcmp(data, "FMT:", 4) != 0) return 0;
  memcpy(pattern, data + 4, size - 4 < sizeof pattern ? size - 4 : sizeof pattern - 1);
  translate(pattern);
  return 0;
}
