/* bad: "I" -> heap-corruption in clear_label */
/* good: "" */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

__attribute__((noinline)) void clear_label(char *label) { free(label); }

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  char *volatile label = malloc(64);
  if (!label) return 0;
  memset(label, 0, 64);
#ifndef FIXED
  if (size > 0 && data[0] == 'I') label += 8;
#else
  (void)data, (void)size;
#endif
  clear_label(label);
  return 0;
}
