/* Entries on the heap: freed twice, freed in the middle, written past their end. malloc's own checks speak, late. */
#include <stdlib.h>
#include <string.h>

#include "bugs.h"

enum { CLOSED = 1, INTERIOR, VALUE };

volatile int kept;
char *volatile last;

/* CLOSED: an entry whose name is empty is freed here and by its owner. */
static void close_entry(char *entry, const uint8_t *name) {
  kept += entry[0];
  if (name[0] == 0 && !fixed(CLOSED)) free(entry);
}

static void one_entry(const uint8_t *data, size_t size) {
  char *entry = malloc(16 + data[0] * 16u);
  if (!entry) return;
  entry[0] = (char)size;
  close_entry(entry, data + 1);
  free(entry);
}

/* INTERIOR: the pointer that walked over the text is freed, not the one that malloc gave. */
static void trim(const uint8_t *data, size_t size) {
  char *text = malloc(size + 1), *at = text;
  if (!text) return;
  memcpy(text, data, size);
  text[size] = 0;
  while (*at == ' ') at++;
  kept += at[0];
  free(fixed(INTERIOR) ? text : at);
}

/* VALUE: room for 24 bytes, whatever their number. */
static void store_value(char *value, const uint8_t *data, size_t size) {
  size_t length = 0;
  while (length < size && data[length] != ';') {
    if (fixed(VALUE) && length == 24) break;
    value[length] = (char)data[length];
    length++;
  }
}

static void pair(const uint8_t *data, size_t size) {
  char *value = malloc(24), *key = malloc(24), *both = malloc(24);
  if (value && key && both) {
    store_value(value, data, size);
    last = key;
    last = both;
    kept += value[0];
  }
  free(both);
  free(key);
  free(value);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  if (size < 8) return 0;
  switch (data[0]) {
    case 'e': one_entry(data + 1, size - 1); break;
    case 't':
      if (!memcmp(data + 1, "RIM:", 4)) trim(data + 5, size - 5);
      break;
    case 'v':
      if (data[1] == 'a')
        if (data[2] > 'a')
          if (data[3] == data[2]) pair(data + 4, size - 4);
      break;
  }
  return 0;
}
