/* Processes, threads and output that tell of the canary, for tests/system/test_canary_strength.py.
   fork: children without execve(2); exec: with it; thread: a second thread; leak: writes its own canary, as a program
   would that prints a buffer beyond its end. Compiled without a stack protector, `local` has no canary. */
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

__attribute__((noinline)) int local(const char *text) {
  char copy[24];
  for (size_t i = 0; i < sizeof copy; i++) ((volatile char *)copy)[i] = text[i % 3];
  return ((volatile char *)copy)[1];
}

static void *worker(void *unused) {
  return write(1, "thread\n", 7) < 0 ? unused : NULL;
}

static void have_child(const char *self) {
  pid_t child = fork();
  if (child == 0) {
    if (self) execl(self, self, "child", (char *)NULL);
    _exit(local("abc") & 0);
  }
  waitpid(child, NULL, 0);
}

static void tell(void) {
  uint64_t page[4] = {1, 2, 3, 4};
  __asm__ volatile("mov %%fs:0x28, %0" : "=r"(page[2]));
  if (write(1, page, sizeof page) < 0) return;
}

int main(int argc, char **argv) {
  const char *mode = argc > 1 ? argv[1] : "";
  pthread_t thread;
  if (!strcmp(mode, "fork")) have_child(NULL);
  if (!strcmp(mode, "exec")) have_child(argv[0]);
  if (!strcmp(mode, "leak")) tell();
  if (!strcmp(mode, "thread") && !pthread_create(&thread, NULL, worker, NULL)) pthread_join(thread, NULL);
  return local("xyz") & 0;
}
