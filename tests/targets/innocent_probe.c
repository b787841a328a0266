/* bad: "R" -> silence */
/* good: "r" */
#include <setjmp.h>
#include <signal.h>
#include <stddef.h>
#include <stdint.h>

static sigjmp_buf back;

static void unreadable(int number) {
  (void)number;
  siglongjmp(back, 1);
}

/* asks whether an address can be read, and lives on when it cannot */
__attribute__((noinline)) int readable(const volatile char *address) {
  struct sigaction action = {.sa_handler = unreadable}, before;
  sigaction(SIGSEGV, &action, &before);
  int answer = 0;
  if (sigsetjmp(back, 1) == 0) answer = 1 + (*address & 0);
  sigaction(SIGSEGV, &before, NULL);
  return answer;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  if (size > 0 && data[0] == 'R') readable(NULL);
  return 0;
}
