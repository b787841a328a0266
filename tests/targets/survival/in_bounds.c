/* FORTIFY's functions at the edge of their buffers: -DMORE is one byte too many for the case in the first byte. */
#define _GNU_SOURCE
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#ifdef MORE
#define OVER 1
#else
#define OVER 0
#endif

static volatile size_t full = 8 + OVER; /* not known to the compiler */
static const char *text(size_t length) {
  static char page[32];
  memset(page, 0, sizeof page);
  for (size_t i = 0; i < length; i++) page[i] = 'x';
  return page;
}
static int is(const char *buffer, size_t length) { return strlen(buffer) == length; }

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  char to[8] = "", other[8] = "abc";
  size_t n = full;
  int right = 1;
  if (size < 1) return 0;
  switch (data[0]) {
    case 'a': right = memcpy(to, text(16), n) == to && to[7] == 'x'; break;
    case 'b': right = memmove(to, text(16), n) == to && to[7] == 'x'; break;
    case 'c': right = mempcpy(to, text(16), n) == to + n && to[7] == 'x'; break;
    case 'd': right = memset(to, 'y', n) == to && to[7] == 'y'; break;
    case 'e': right = strcpy(to, text(n - 1)) == to && is(to, 7); break;
    case 'f': right = stpcpy(to, text(n - 1)) == to + 7 && is(to, 7); break;
    case 'g': right = strncpy(to, text(3), n) == to && is(to, 3) && !to[7]; break;
    case 'h': right = stpncpy(to, text(3), n) == to + 3 && is(to, 3); break;
    case 'i': right = strcat(other, text(n - 4)) == other && is(other, 7); break;
    case 'j': right = strncat(other, text(16), n - 4) == other && is(other, 7); break;
  }
  if (!right) abort();
  return to[0] & 0;
}
