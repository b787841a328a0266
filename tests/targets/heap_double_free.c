/* bad: "FREE" -> heap-corruption in drop_reference */
/* good: "free" */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

__attribute__((noinline)) void drop_reference(void *volatile *reference) {
  free(*reference);
#ifdef FIXED
  *reference = NULL;
#endif
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  void *volatile reference = malloc(40);
  drop_reference(&reference);
  if (size >= 4 && memcmp(data, "FREE", 4) == 0) drop_reference(&reference);
  return 0;
}
