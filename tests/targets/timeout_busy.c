/* bad: "SPIN" -> timeout in skip_spaces */
/* good: "spin" */
/* limits: wall_s=0.5 cpu_s=0.5 */
#include <stddef.h>
#include <stdint.h>
#include <string.h>

__attribute__((noinline)) size_t skip_spaces(const volatile uint8_t *text, size_t size) {
  volatile size_t at = 0;
  while (at < size && text[at] == 'S') {
#ifdef FIXED
    at = at + 1;
#endif
  }
  return at;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  if (size == 4 && memcmp(data, "SPIN", 4) == 0) skip_spaces(data, size);
  return 0;
}
