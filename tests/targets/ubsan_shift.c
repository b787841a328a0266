/* bad: "\x40" -> ubsan-shift in mask */
/* good: "\x04" */
/* profile: asan */
#include <stddef.h>
#include <stdint.h>

__attribute__((noinline)) unsigned mask(volatile unsigned bits) {
#ifdef FIXED
  if (bits >= 32) return 0;
#endif
  return 1u << bits;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  volatile unsigned result = 0;
  if (size > 0) result = mask(data[0]);
  return (int)result & 0;
}
