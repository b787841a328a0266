/* Paths and labels: string functions of the C library, called with too little room. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bugs.h"

enum { JOIN_BASE = 1, JOIN_NAME, ENTRY, BLOCK, LABEL, MESSAGE };

volatile int kept;

/* JOIN_BASE and JOIN_NAME: two calls of strcpy in one function. */
static int join_path(const char *base, const char *name) {
  char folder[32];
  char file[16];
  if (fixed(JOIN_BASE) && strlen(base) >= sizeof folder) return 0;
  strcpy(folder, base);
  kept += folder[0];
  if (fixed(JOIN_NAME) && strlen(name) >= sizeof file) return 0;
  strcpy(file, name);
  kept += file[0];
  return folder[1] + file[1];
}

static int format_entry(const char *name, unsigned number) {
  char line[40];
  if (fixed(ENTRY) && strlen(name) > 16) return 0;
  sprintf(line, "%u: entry <%s>", number, name);
  kept += line[0];
  return line[3];
}

/* BLOCK: two callers, one place to repair. */
static int read_block(const uint8_t *from, size_t size) {
  uint8_t block[64] = {0};
  if (fixed(BLOCK) && size > sizeof block) size = sizeof block;
  memcpy(block, from, size);
  kept += block[7];
  return block[3];
}

static int read_first(const uint8_t *from, size_t size) { return read_block(from, size) + 1; }

static int read_last(const uint8_t *from, size_t size) {
  int sum = 0;
  for (size_t i = 0; i + 1 < size; i += 400) sum += read_block(from + i, size - i);
  return sum;
}

static int make_label(const char *text, size_t limit) {
  char label[24];
  if (fixed(LABEL) && limit > sizeof label) limit = sizeof label;
  snprintf(label, limit, "[%s]", text);
  kept += label[0];
  return label[1];
}

/* MESSAGE: the input is the format. */
static int log_message(const char *text) {
  char line[256];
  int written = fixed(MESSAGE) ? snprintf(line, sizeof line, "%s", text) : snprintf(line, sizeof line, text);
  kept += line[0];
  return written;
}

static void path_of(const char *text) {
  char base[600] = {0};
  const char *slash = strrchr(text, '/');
  size_t length = slash ? (size_t)(slash - text) : 0;
  if (length >= sizeof base) return;
  memcpy(base, text, length);
  join_path(base, slash ? slash + 1 : text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  if (size < 6) return 0;
  size_t rest = size - 5;
  char *text = malloc(rest + 1);
  if (!text) return 0;
  memcpy(text, data + 5, rest);
  text[rest] = 0;
  switch (data[0]) {
    case 'P': path_of(text); break;
    case 'J': join_path(text, "short"); break;
    case 'E':
      if (!memcmp(data + 1, "NTRY", 4)) format_entry(text, (unsigned)rest);
      break;
    case 'F':
      if (data[1] + data[2] == 99)
        if (data[3] == 'r')
          if (data[4] > data[3]) read_first(data + 5, rest);
      break;
    case 'L':
      if (data[1] + data[2] == 99)
        if (data[3] == 'r')
          if (data[4] > data[3]) read_last(data + 5, rest);
      break;
    case 'N': make_label(text, data[1] + 2u); break;
    case 'M':
      if (!memcmp(data + 1, "SG: ", 4)) log_message(text);
      break;
  }
  free(text);
  return 0;
}
