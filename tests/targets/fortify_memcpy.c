/* bad: "F"*70 -> fortify-overflow in load_block */
/* good: "F"*7 */
#include <stddef.h>
#include <stdint.h>
#include <string.h>

static uint8_t block[64];

__attribute__((noinline)) void load_block(const uint8_t *bytes, size_t size) {
#ifdef FIXED
  if (size > sizeof block) size = sizeof block;
#endif
  memcpy(block, bytes, size);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  load_block(data, size);
  return 0;
}
