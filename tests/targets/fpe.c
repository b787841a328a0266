/* bad: "RATE\x00" -> fpe in rate */
/* good: "RATE\x04" */
#include <stddef.h>
#include <stdint.h>
#include <string.h>

__attribute__((noinline)) int rate(int total, volatile int count) {
#ifdef FIXED
  if (count == 0) return 0;
#endif
  return total / count;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  volatile int sum = 0;
  if (size > 4 && memcmp(data, "RATE", 4) == 0) sum = rate(100, data[4]);
  return sum & 0;
}
