/* bad: "\x5a" -> glibc-fatal in print_to */
/* good: "\x00" */
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

__attribute__((noinline)) void print_to(FILE *file) { fflush(file), setvbuf(file, NULL, _IONBF, 0), fputs("text", file); }

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  FILE *file = fopen("/dev/null", "w");
  if (!file) return 0;
#ifndef FIXED
  /* what an overflow of a neighbouring object does: the table of functions behind struct _IO_FILE_plus */
  if (size > 0 && data[0] == 0x5a) memset((char *)(void *)file + 0xd8, 0x11, 8);
#else
  (void)data, (void)size;
#endif
  print_to(file);
  fclose(file);
  return 0;
}
