/* bad: "hex %x%x" -> format-arguments in note */
/* good: "100%% sure" */
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

__attribute__((noinline)) int note(const char *text) {
  char line[128];
#ifdef FIXED
  return snprintf(line, sizeof line, "%s", text);
#else
  return snprintf(line, sizeof line, text);
#endif
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  char text[32] = {0};
  memcpy(text, data, size < sizeof text ? size : sizeof text - 1);
  note(text);
  return 0;
}
