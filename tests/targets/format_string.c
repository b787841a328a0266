/* bad: "%s" -> format-arguments in entry */
/* good: "plain" */
#define _GNU_SOURCE
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

__attribute__((noinline)) void entry(const char *text) {
  char *line = NULL;
#ifdef FIXED
  int length = asprintf(&line, "%s", text);
#else
  int length = asprintf(&line, text);
#endif
  if (length >= 0) free(line);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  char *text = calloc(1, size + 1);
  for (size_t i = 0; i < size; i++) text[i] = (char)data[i];
  entry(text);
  free(text);
  return 0;
}
