/* bad: "FORK" -> abort in child_work */
/* good: "fork" */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static volatile int worked;

__attribute__((noinline)) void child_work(void) {
  worked = 1;
#ifndef FIXED
  abort();
#endif
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  if (size < 4 || memcmp(data, "FORK", 4) != 0) return 0;
  pid_t child = fork();
  if (child == 0) {
    child_work();
    _exit(0);
  }
  if (child > 0) waitpid(child, NULL, 0);
  return 0;
}
