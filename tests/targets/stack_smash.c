/* bad: "NAME" "A"*64 -> stack-smash in copy_name */
/* good: "NAMEshort" */
#include <stddef.h>
#include <stdint.h>
#include <string.h>

__attribute__((noinline)) int copy_name(const uint8_t *text, size_t size) {
  char name[16];
  size_t length = size;
#ifdef FIXED
  if (length > sizeof name - 1) length = sizeof name - 1;
#endif
  size_t i = 0;
  for (; i < length; i++) ((volatile char *)name)[i] = (char)text[i];
  return name[0];
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  if (size > 4 && memcmp(data, "NAME", 4) == 0) copy_name(data + 4, size - 4);
  return 0;
}
