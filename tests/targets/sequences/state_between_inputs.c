/* An input that begins with U leaves something behind that an input of three bytes stumbles over. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

static int unlocked;

__attribute__((noinline)) static void use_what_is_left(size_t size) {
  char text[8];
  memset(text, (int)size, size & 7);
  if (unlocked && size == 3 && text[0]) abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
#ifdef FIXED
  unlocked = 0;
#endif
  if (size && data[0] == 'U') {
    unlocked = 1;
    return 0;
  }
  use_what_is_left(size);
  return 0;
}
