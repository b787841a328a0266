/* Two arrays below the canary, for tests/system/test_canary.py. -DFIXED: none runs over. */
#include <stddef.h>
#include <stdint.h>
#include <string.h>

static volatile size_t seen;

/* two arrays below the canary: which one ran over is told by the bytes that lie in it */
__attribute__((noinline)) void read_pair(const uint8_t *text, size_t size) {
  char key[8];
  char value[32];
  size_t at = 0;
  for (; at < size && at < 7 && text[at] != '='; at++) ((volatile char *)key)[at] = (char)text[at];
  key[at++] = 0;
  size_t length = size > at ? size - at : 0;
#ifdef FIXED
  if (length > sizeof value) length = sizeof value;
#endif
  for (size_t i = 0; i < length; i++) ((volatile char *)value)[i] = (char)text[at + i];
  seen = strlen(key) + (size_t)value[0];
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  read_pair(data, size);
  return 0;
}
