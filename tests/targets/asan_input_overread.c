/* bad: "HDR1" -> asan-heap-buffer-overflow in header_size */
/* good: "HDR1\x01\x02\x03\x04" */
/* profile: asan */
#include <stddef.h>
#include <stdint.h>
#include <string.h>

__attribute__((noinline)) int header_size(const volatile uint8_t *header, size_t size) {
#ifdef FIXED
  if (size < 8) return 0;
#endif
  return header[7] + (int)size;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  if (size >= 4 && memcmp(data, "HDR1", 4) == 0) header_size(data, size);
  return 0;
}
