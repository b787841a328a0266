/* bad: "H"*72 -> heap-corruption in release */
/* good: "H"*20 */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

enum { ROOM = 24 };

__attribute__((noinline)) void release(void *block) { free(block); }

__attribute__((noinline)) void store(char *block, const uint8_t *bytes, size_t size) {
#ifdef FIXED
  if (size > ROOM) size = ROOM;
#endif
  for (size_t i = 0; i < size; i++) ((volatile char *)block)[i] = (char)bytes[i];
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  char *first = malloc(ROOM), *second = malloc(ROOM);
  if (first && second) store(first, data, size);
  release(second);
  release(first);
  return 0;
}
