/* bad: "S"*12 -> asan-heap-buffer-overflow in fill */
/* good: "S"*4 */
/* profile: asan */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

__attribute__((noinline)) void fill(volatile char *block, const uint8_t *bytes, size_t size) {
#ifdef FIXED
  if (size > 10) size = 10;
#endif
  for (size_t i = 0; i < size; i++) block[i] = (char)bytes[i];
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  char *block = malloc(10);
  if (block) fill(block, data, size);
  free(block);
  return 0;
}
