/* bad: "\x7f" -> segv-read in pixel */
/* good: "\x00" */
#include <stddef.h>
#include <stdint.h>

static uint8_t image[256];

__attribute__((noinline)) int pixel(size_t row) {
#ifdef FIXED
  if (row >= 1) return 0;
#endif
  return ((volatile uint8_t *)image)[row << 36];
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  return size > 0 && pixel(data[0]) ? 0 : 0;
}
