/* bad: "((" -> stack-exhaustion in descend */
/* good: "()" */
#include <stddef.h>
#include <stdint.h>

__attribute__((noinline)) int descend(const uint8_t *text, volatile int *level) {
  volatile int here = *level;
#ifdef FIXED
  if (here > 1000) return 0;
#endif
  *level = here + 1;
  if (text[0] != '(' || text[1] != '(') return here;
  return descend(text, level) + here;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  volatile int level = 0;
  if (size >= 2) descend(data, &level);
  return 0;
}
