/* One detection for each first letter; -DFIXED has none. What ends the life all the same is in lethal.c. */
#define _GNU_SOURCE
#include <assert.h>
#include <setjmp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#ifdef FIXED
#define BAD(letter) 0
#else
#define BAD(letter) (data[0] == letter)
#endif

static volatile int zero;

__attribute__((noinline)) static void smash(const uint8_t *data, size_t size, size_t times) {
  char line[16];
  volatile char *to = line;
  for (size_t i = 0; i < size * times; i++) to[i] = (char)data[i % size];
}

__attribute__((noinline)) static int nested(volatile int depth) {
  volatile char frame[256];
  frame[depth % 256] = 1;
  return nested(depth + 1) + frame[0];
}

/* setjmp and longjmp on the stack that the target is given. */
__attribute__((noinline)) static int jumps(void) {
  static jmp_buf back;
  if (setjmp(back) == 0) longjmp(back, 1);
  return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  static char page[4096];
  char text[8];
  if (size < 2) return 0;
  if (data[0] == '.') return jumps();
  if (BAD('a')) abort();
  if (BAD('b')) smash(data, 32, 2);       /* the canary and a little more */
  if (BAD('B')) smash(data, 32, 2000);    /* everything above, past the end of the stack */
  if (BAD('c')) *(volatile int *)(intptr_t)zero = 1;
  if (BAD('d')) assert(data[1] == 0 && data[1] == 1);
  if (BAD('e')) exit(3);
  if (BAD('f')) zero = nested(1);
  if (BAD('g')) strcpy(text, (const char *)memset(page, 'x', 20 + data[1] % 2));
  if (BAD('h')) zero = (int)size / zero;
  if (BAD('i')) __builtin_trap();
  if (BAD('j')) memset((char *)0x1000000, data[1], 64); /* the fault lies in libc */
  if (BAD('k')) { /* found by the allocator, but nothing is damaged */
    void *volatile twice = malloc(24);
    free(twice);
    free(twice);
  }
  if (BAD('l')) raise(SIGBUS);
  if (BAD('m')) ((void (*)(void))page)();
  return text[0] & 0;
}
