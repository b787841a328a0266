/* bad: "GAIN" "9"*90 -> fortify-overflow in write_gain */
/* good: "GAIN1.5" */
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

__attribute__((noinline)) int write_gain(const char *text) {
  char line[40];
#ifdef FIXED
  snprintf(line, sizeof line, "gain=%s", text);
#else
  sprintf(line, "gain=%s", text);
#endif
  return line[5];
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  char text[128] = {0};
  if (size < 4 || memcmp(data, "GAIN", 4) != 0) return 0;
  memcpy(text, data + 4, size - 4 < sizeof text ? size - 4 : sizeof text - 1);
  write_gain(text);
  return 0;
}
