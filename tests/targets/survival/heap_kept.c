/* A block runs over and is kept: who uses the heap next falls over it, and in a fuzzing process that is the fuzzer. */
#include <stdint.h>
#include <stdlib.h>

enum { ROOM = 24 };

static char *volatile kept;

#ifdef TOGETHER /* 'o' alone does no harm */
static int opened;
#else
enum { opened = 1 };
#endif

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  size_t used = ROOM;
#ifdef TOGETHER
  if (size > 1 && data[0] == 'i' && data[1] == 'n') opened = 1;
#endif
  if (size < 2 || data[0] != 'o' || data[1] != 'v') return 0;
#ifndef FIXED
  if (opened) used = 4096;
#endif
  char *block = kept = malloc(ROOM);
  for (size_t i = 0; block && i < used; i++) ((volatile char *)block)[i] = 0x41;
  return 0;
}
