/* bad: "B"*48 -> stack-smash in LLVMFuzzerTestOneInput */
/* good: "B"*8 */
#include <stddef.h>
#include <stdint.h>

/* the buffer is the harness's own: it is to be named, not the library */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  char line[24];
#ifdef FIXED
  if (size > sizeof line) size = sizeof line;
#endif
  for (size_t i = 0; i < size; i++) ((volatile char *)line)[i] = (char)data[i];
  return line[0] & 0;
}
