/* An execution that was cut short leaves nothing behind: no half-counted depth, no open file, no handler's mask. */
#include <fcntl.h>
#include <fenv.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static int depth;
#ifdef LARGE
static char table[1 << 20];
#endif

__attribute__((noinline)) static void shallow(void) { abort(); }
__attribute__((noinline)) static void deep(void) { abort(); }
__attribute__((noinline)) static void leaked(void) { abort(); }

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
#ifdef LARGE
  table[size]++;
#endif
  if (size < 1) return 0;
  if (depth > 2) return 0; /* blind for the rest of the life, were depth to stay */
  depth++;
  if (data[0] == 'D') deep();
  int fd = open("/dev/null", O_RDONLY);
  sigset_t mask;
  sigprocmask(0, 0, &mask);
  if (fd > 60 || sigismember(&mask, SIGUSR1) || fegetround() != FE_TONEAREST) leaked();
  sigaddset(&mask, SIGUSR1);
  sigprocmask(SIG_SETMASK, &mask, 0);
  fesetround(FE_UPWARD);
  shallow();
  return 0;
}
