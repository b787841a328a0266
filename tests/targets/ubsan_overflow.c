/* bad: "SUM:\xff" -> ubsan-signed-integer-overflow in add */
/* good: "SUM:\x00" */
/* profile: asan */
#include <limits.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

__attribute__((noinline)) int add(volatile int left, volatile int right) {
#ifdef FIXED
  if (right > INT_MAX - left) return INT_MAX;
#endif
  return left + right;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  volatile int sum = 0;
  if (size > 4 && memcmp(data, "SUM:", 4) == 0) sum = add(INT_MAX - 10, data[4]);
  return sum & 0;
}
