/* bad: "E"*60 -> fortify-overflow in set_title */
/* good: "E"*10 */
#include <stddef.h>
#include <stdint.h>
#include <string.h>

static char title[32];

__attribute__((noinline)) void set_title(const char *text) {
#ifdef FIXED
  strncpy(title, text, sizeof title - 1);
#else
  strcpy(title, text);
#endif
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  char text[128] = {0};
  memcpy(text, data, size < sizeof text ? size : sizeof text - 1);
  set_title(text);
  return 0;
}
