/* bad: "V" -> asan-double-free in drop */
/* good: "v" */
/* profile: asan */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

__attribute__((noinline)) void drop(void *volatile *reference) {
  free(*reference);
#ifdef FIXED
  *reference = NULL;
#endif
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  void *volatile reference = malloc(8);
  drop(&reference);
  if (size > 0 && data[0] == 'V') drop(&reference);
  return 0;
}
