/* One byte too many in a block whose malloc has slack: no check of libc's can see it, for tests/system/test_defence.py.
   -DUNSANITIZED: there is no sanitized build. -DFIXED: it stays in its block. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#if defined UNSANITIZED && defined __SANITIZE_ADDRESS__
#error "not for sanitizers"
#endif

#ifdef FIXED
#define LIMIT 20
#else
#define LIMIT 21
#endif

__attribute__((noinline)) void keep(const uint8_t *text, size_t size) {
  char *volatile block = malloc(20); /* malloc_usable_size(3): 24; volatile, or UBSan would know the size */
  for (size_t i = 0; block && i < size && i < LIMIT; i++) block[i] = (char)text[i];
  free(block);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  keep(data, size);
  return 0;
}
