/* Keywords compared by the string functions of libc: what is measured is the hooks on them. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

volatile unsigned sink;

static const char *const words[] = {"content-length", "transfer-encoding", "connection", "upgrade", "host", "cookie"};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  char text[128];
  if (size >= sizeof text) return 0;
  memcpy(text, data, size);
  text[size] = 0;
  for (char *part = text, *next; part; part = next) {
    next = strchr(part, ',');
    if (next) *next++ = 0;
    for (unsigned i = 0; i < sizeof words / sizeof *words; i++)
      if (!strcasecmp(part, words[i])) sink += i;
    if (!strncmp(part, "x-", 2) && strstr(part + 2, "chunked")) sink += 10;
    if (size > 8 && !memcmp(data, "\x7f" "ELF\2\1\1", 7)) sink += 20;
  }
  return 0;
}
