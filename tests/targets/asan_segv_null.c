/* bad: "X" -> segv-null in first_of */
/* good: "x" */
/* profile: asan */
/* cflags: -fno-sanitize=null */
#include <stddef.h>
#include <stdint.h>

__attribute__((noinline)) int first_of(const volatile int *list) {
#ifdef FIXED
  if (!list) return 0;
#endif
  return *list; /* the kind is the same under every profile */
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  int list[1] = {1};
  first_of(size > 0 && data[0] == 'X' ? NULL : list);
  return 0;
}
