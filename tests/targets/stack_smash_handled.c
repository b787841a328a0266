/* bad: "C"*40 -> stack-smash in read_field */
/* good: "C"*4 */
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <unistd.h>

static void leave_quietly(int number) {
  (void)number;
  _exit(3);
}

__attribute__((noinline)) int read_field(const uint8_t *text, size_t size) {
  char field[8];
#ifdef FIXED
  if (size > sizeof field) return 0;
#endif
  for (size_t i = 0; i < size; i++) ((volatile char *)field)[i] = (char)text[i];
  return field[0];
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  signal(SIGABRT, leave_quietly); /* a detector that waits for an ending by signal 6 misses it */
  read_field(data, size);
  signal(SIGABRT, SIG_DFL);
  return 0;
}
