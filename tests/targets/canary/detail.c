/* One smash in several guises, for tests/system/test_canary.py. -DFIXED: nothing is smashed. */
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#ifdef EXPLICIT
#define GUARDED __attribute__((noinline, stack_protect))
#else
#define GUARDED __attribute__((noinline))
#endif
#ifndef KEY
#define KEY 0 /* what each byte is changed with on its way */
#endif

static volatile char seen;

GUARDED void read_name(const uint8_t *text, size_t size) {
  char name[16];
#ifdef FIXED
  if (size > sizeof name) size = sizeof name;
#endif
  for (size_t i = 0; i < size; i++) ((volatile char *)name)[i] = (char)(text[i] ^ KEY);
  seen = name[0];
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
#ifdef LINE
  const uint8_t *end = memchr(data, '\n', size);
  if (end) size = (size_t)(end - data);
#endif
  read_name(data, size);
  return 0;
}
