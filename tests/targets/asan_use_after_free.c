/* bad: "STOP" -> asan-heap-use-after-free in state_of */
/* good: "stop" */
/* profile: asan */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

struct session {
  volatile int state;
};

__attribute__((noinline)) int state_of(const struct session *session) { return session->state; }

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  struct session *session = calloc(1, sizeof *session);
  if (!session) return 0;
  int stop = size >= 4 && memcmp(data, "STOP", 4) == 0;
#ifndef FIXED
  if (stop) free(session);
#endif
  state_of(session);
#ifdef FIXED
  stop = 0;
#endif
  if (!stop) free(session);
  return 0;
}
