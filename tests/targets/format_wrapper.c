/* bad: "<%s> <%d>" -> format-arguments in complain,check */
/* good: "<%s>" */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

static char last[64];

__attribute__((noinline)) void complain(int level, const char *format, ...) {
  va_list rest;
  va_start(rest, format);
  if (level) vsnprintf(last, sizeof last, format, rest);
  va_end(rest);
}

/* A user may choose the words round the one value. That is well as long as the format asks for no more. */
__attribute__((noinline)) void check(const char *text) {
#ifdef FIXED
  if (strchr(text, 'd')) return;
#endif
  complain(1, text, "value");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  char text[32] = {0};
  memcpy(text, data, size < sizeof text ? size : sizeof text - 1);
  check(text);
  return 0;
}
