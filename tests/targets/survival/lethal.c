/* What a process does not survive: a damaged heap, a fault in another thread, a handler of the target's own. */
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <unistd.h>

static void *fault(void *unused) {
  *(volatile int *)8 = 1;
  return unused;
}

#ifdef HANDLED /* this alone: what mutations lead to may not end the life */
static void last_words(int number) {
  (void)number;
  _Exit(9);
}
#endif

int LLVMFuzzerInitialize(int *argc, char ***argv) {
  (void)argc, (void)argv;
#ifdef HANDLED
  signal(SIGFPE, last_words);
#endif
  return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  if (size < 2) return 0;
#ifndef HANDLED
  if (data[0] == 'h') { /* what an overflow of the block in front would do to its size */
    volatile size_t *block = malloc(24);
    block[-1] = 0x4141414141414141;
    free((void *)block);
  }
  if (data[0] == 't') {
    pthread_t thread;
    if (!pthread_create(&thread, 0, fault, 0)) pthread_join(thread, 0);
  }
#endif
  if (data[0] == 's') raise(SIGFPE);
  return 0;
}
