/* bad: "J" -> glibc-fatal in fail */
/* good: "j" */
#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>

static jmp_buf recovery;
static volatile int armed;

__attribute__((noinline)) void arm(size_t at) {
  volatile char room[4096];
  room[at & 4095] = 0; /* an index that is unknown keeps the whole array */
  if (setjmp(recovery) == 0) armed = 1 + room[at & 4095];
}

__attribute__((noinline)) void fail(void) {
#ifdef FIXED
  armed = 0;
#else
  longjmp(recovery, 1); /* the frame of arm() is gone */
#endif
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  arm(size);
  if (size > 0 && data[0] == 'J') fail();
  return 0;
}
