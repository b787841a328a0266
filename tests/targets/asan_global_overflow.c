/* bad: "\x08" -> asan-global-buffer-overflow in day_name */
/* good: "\x03" */
/* profile: asan */
#include <stddef.h>
#include <stdint.h>

static volatile char days[8] = "mtwtfss";

__attribute__((noinline)) int day_name(volatile size_t day) {
  volatile char *volatile first = days; /* hides the size from UBSan */
#ifdef FIXED
  if (day >= sizeof days) return 0;
#endif
  return first[day];
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  if (size > 0) day_name(data[0]);
  return 0;
}
