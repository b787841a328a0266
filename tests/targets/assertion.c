/* bad: "LIST\xff" -> assert in read_count */
/* good: "LIST\x02" */
#include <assert.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

__attribute__((noinline)) int read_count(uint8_t count) {
#ifdef FIXED
  if (count >= 100) return -1;
#endif
  assert(count < 100);
  return count;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  if (size > 4 && memcmp(data, "LIST", 4) == 0) read_count(data[4]);
  return 0;
}
