/* bad: "%n" -> fortify-percent-n in log_line */
/* good: "hello" */
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

__attribute__((noinline)) int log_line(const char *text) {
  char line[64];
  int written = 0;
#ifdef FIXED
  snprintf(line, sizeof line, "%s", text);
#else
  snprintf(line, sizeof line, text, &written);
#endif
  return line[0] + written;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  char text[32] = {0};
  memcpy(text, data, size < sizeof text ? size : sizeof text - 1);
  log_line(text);
  return 0;
}
