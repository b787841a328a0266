/* bad: "Q" -> silence */
/* good: "q" */
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

/* a program may print anything */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  if (size == 0 || data[0] != 'Q') return 0;
#ifndef FIXED
  fputs("*** stack smashing detected ***: terminated\n", stderr);
  fputs("*** buffer overflow detected ***: terminated\nAborted (core dumped)\n", stderr);
  fputs("==7==ERROR: AddressSanitizer: heap-buffer-overflow on address 0x602000000011\n", stderr);
  fputs("harness.c:1:1: runtime error: signed integer overflow\nSegmentation fault\n", stderr);
#endif
  return 0;
}
