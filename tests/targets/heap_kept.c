/* bad: "H"*72 -> heap-corruption */
/* good: "H"*20 */
/* Nobody uses the heap after the overflow: the damage is there when the input is over. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

enum { ROOM = 24 };

static char *volatile kept;

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  char *block = kept = malloc(ROOM);
#ifdef FIXED
  if (size > ROOM) size = ROOM;
#endif
  for (size_t i = 0; block && i < size; i++) ((volatile char *)block)[i] = (char)data[i];
  return 0;
}
