/* Chunks: a loop that never ends and a list that only grows. */
#include <stdlib.h>
#include <string.h>

#include "bugs.h"

enum { EMPTY_CHUNK = 1, REPEAT };

volatile unsigned kept;

static unsigned length_of(const uint8_t *at) { return at[0] + 2u * at[1]; }

static void count(const uint8_t *at, unsigned length) {
  for (unsigned i = 0; i < length + 50; i++) kept += i ^ at[0];
}

/* EMPTY_CHUNK: a chunk of no bytes is read again and again. */
static void skip_chunks(const uint8_t *data, size_t size) {
  size_t at = 0;
  while (at + 2 < size) {
    unsigned length = length_of(data + at);
    if (fixed(EMPTY_CHUNK) && length == 0) break;
    count(data + at, length);
    at += length;
  }
}

struct item {
  struct item *next;
  char text[100000];
};

static struct item *append(struct item *list, int fill) {
  struct item *item = malloc(sizeof *item);
  if (!item) abort();
  memset(item->text, fill, sizeof item->text);
  item->next = list;
  return item;
}

/* REPEAT: as often as the input says. */
static void repeat(uint32_t times, int fill) {
  struct item *list = NULL;
  if (fixed(REPEAT) && times > 100) return;
  while (times--) list = append(list, fill);
  while (list) {
    struct item *next = list->next;
    kept += (unsigned)list->text[3];
    free(list);
    list = next;
  }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  if (size < 8) return 0;
  switch (data[0]) {
    case 'c': skip_chunks(data + 1, size - 1); break;
    case 'r':
      if (!memcmp(data + 1, "EP", 2)) repeat(data[3] | data[4] << 8 | (uint32_t)data[5] << 16, data[6]);
      break;
  }
  return 0;
}
