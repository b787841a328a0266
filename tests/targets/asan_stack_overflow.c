/* bad: "U"*9 -> asan-stack-buffer-overflow in pack */
/* good: "U"*8 */
/* profile: asan */
#include <stddef.h>
#include <stdint.h>

__attribute__((noinline)) int pack(const uint8_t *bytes, size_t size) {
  volatile char packed[8], *volatile first = packed; /* hides the size from UBSan */
#ifdef FIXED
  if (size > sizeof packed) size = sizeof packed;
#endif
  for (size_t i = 0; i < size; i++) first[i] = (char)bytes[i];
  return packed[0];
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  if (size > 0) pack(data, size);
  return 0;
}
