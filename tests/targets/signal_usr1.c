/* bad: "O" -> signal-SIGUSR1 */
/* good: "o" */
#include <signal.h>
#include <stddef.h>
#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
#ifdef FIXED
  signal(SIGUSR1, SIG_IGN);
#endif
  if (size > 0 && data[0] == 'O') raise(SIGUSR1);
  return 0;
}
