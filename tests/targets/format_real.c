/* bad: "f" -> format-arguments in average */
/* good: "d" */
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

__attribute__((noinline)) int average(int letter, long sum) {
  char line[400];
#ifdef FIXED
  if (letter == 'f') return snprintf(line, sizeof line, "%f", (double)sum);
#endif
  char format[] = {'%', (char)letter, '\0'};
  return snprintf(line, sizeof line, format, sum);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  return size && average(data[0] == 'f' ? 'f' : 'd', (long)size) < 0;
}
