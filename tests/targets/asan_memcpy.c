/* bad: "T"*40 -> asan-heap-buffer-overflow in duplicate */
/* good: "T"*4 */
/* profile: asan */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

__attribute__((noinline)) void *duplicate(const uint8_t *bytes, volatile size_t size) {
#ifdef FIXED
  char *copy = malloc(size + 1);
#else
  char *copy = malloc(16);
#endif
  if (copy) memcpy(copy, bytes, size); /* the interceptor of the sanitizer stands between */
  return copy;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  free(duplicate(data, size));
  return 0;
}
