/* bad: "\x05" -> ubsan-bounds in weight */
/* good: "\x02" */
/* profile: asan */
#include <stddef.h>
#include <stdint.h>

static volatile int weights[4] = {1, 2, 3, 4};

__attribute__((noinline)) int weight(volatile size_t index) {
#ifdef FIXED
  if (index >= 4) return 0;
#endif
  return weights[index];
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  volatile int result = 0;
  if (size > 0) result = weight(data[0]);
  return result & 0;
}
