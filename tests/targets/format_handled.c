/* bad: "%d%s" -> format-arguments in greet */
/* good: "hello" */
/* program: argv */
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static void on_abort(int number) {
  (void)number;
  _exit(0);
}

__attribute__((noinline)) void greet(const char *text) {
#ifdef FIXED
  fputs(text, stdout);
#else
  printf(text);
#endif
}

int main(int argc, char **argv) {
  sigset_t all;
  char text[32] = {0};
  sigfillset(&all);
  sigprocmask(SIG_BLOCK, &all, NULL);
  signal(SIGABRT, on_abort);
  if (argc > 1) greet(strncpy(text, argv[1], sizeof text - 1));
  return 0;
}
