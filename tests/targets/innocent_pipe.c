/* bad: "P" -> silence */
/* good: "p" */
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/wait.h>
#include <unistd.h>

/* A child dies of SIGPIPE, as in `yes | head`; we ignore the signal ourselves. */
static void quarrel(void) {
  int ends[2];
  if (pipe(ends) != 0) return;
  close(ends[0]);
  pid_t child = fork();
  if (child == 0) {
    signal(SIGPIPE, SIG_DFL);
    for (;;) (void)!write(ends[1], "y\n", 2);
  }
  waitpid(child, 0, 0);
  signal(SIGPIPE, SIG_IGN);
  (void)!write(ends[1], "y\n", 2);
  close(ends[1]);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  if (size > 0 && data[0] == 'P') quarrel();
  return 0;
}
