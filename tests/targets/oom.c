/* bad: "BIG!" -> oom */
/* good: "big!" */
/* limits: memory_bytes=67108864 */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

enum { BLOCK = 1 << 20, BLOCKS = 4096 };

static void *volatile kept;

__attribute__((noinline)) void grow(int blocks) {
  for (int i = 0; i < blocks; i++) {
    void **block = malloc(BLOCK);
    if (!block) return;
    memset(block, 1, BLOCK);
    *block = kept;
    kept = block;
  }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
#ifdef FIXED
  int blocks = 4;
#else
  int blocks = BLOCKS;
#endif
  if (size == 4 && memcmp(data, "BIG!", 4) == 0) grow(blocks);
  return 0;
}
