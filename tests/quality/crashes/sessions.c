/* Sessions: what AddressSanitizer and UBSan see. */
#include <stdlib.h>
#include <string.h>

#include "bugs.h"

enum { SUM = 1, STALE, TWICE, TOKEN_HEAD, TOKEN_TAIL, WEEKDAY, LINE, TOTAL };

volatile int kept;
char *volatile last;
static const char *const days[7] = {"mo", "tu", "we", "th", "fr", "sa", "su"};

/* SUM: reads one word too far. Two callers, one place to repair. */
static int sum(const uint8_t *data, size_t size) {
  int total = 0;
  for (size_t i = 0; i < size + (fixed(SUM) ? 0 : 4); i++) total += data[i];
  return total;
}

static int sum_all(const uint8_t *data, size_t size) { return sum(data, size); }
static int sum_rest(const uint8_t *data, size_t size) { return size > 4 ? sum(data + 4, size - 4) : 0; }

/* STALE: a closed session is still used, by reading or by writing. */
static void run_session(const uint8_t *commands, size_t size) {
  int *session = calloc(8, sizeof *session);
  if (!session) return;
  int closed = 0;
  for (size_t i = 0; i < size; i++) {
    if (closed && fixed(STALE)) break;
    if (commands[i] == 'c' && !closed) {
      free(session);
      closed = 1;
    } else if (commands[i] == 'g') {
      kept += session[i % 8];
    } else if (commands[i] == 'p') {
      session[i % 8] = (int)i;
    }
  }
  if (!closed) free(session);
}

/* TWICE: who closes twice frees twice. */
static void close_all(const uint8_t *data, size_t size) {
  char *one = malloc(8 + size);
  int open = 1;
  last = one;
  for (size_t i = 0; i < size && i < 20; i++)
    if (data[i] == 'x' && (open || !fixed(TWICE))) {
      free(one);
      open = 0;
    }
  if (open) free(one);
}

/* TOKEN_HEAD and TOKEN_TAIL: two copies in one function. */
static int token(const uint8_t *data, size_t head, size_t tail) {
  char *first = malloc(16), *second = malloc(16);
  if (first && second) {
    if (fixed(TOKEN_HEAD) && head > 16) head = 16;
    memcpy(first, data, head);
    if (fixed(TOKEN_TAIL) && tail > 16) tail = 16;
    memcpy(second, data + 8, tail);
    kept += first[0] + second[0];
  }
  free(first);
  free(second);
  return kept;
}

static int weekday(int day) {
  if (fixed(WEEKDAY) && day >= 7) return 0;
  const char *const *at = days;
  return *(const volatile char *)*(at + day);
}

static int line(const uint8_t *data, size_t size) {
  char text[32] = {0};
  char *to = text;
  for (size_t i = 0; i < size && data[i] != '\n'; i++) {
    if (fixed(LINE) && i == sizeof text) break;
    *to++ = (char)data[i];
  }
  return text[0] + text[31];
}

/* TOTAL: a sum that does not fit. */
static int total(const uint8_t *data, size_t size) {
  int all = 2147483000;
  for (size_t i = 0; i < size; i++) {
    if (fixed(TOTAL) && all > 2147483000) break;
    all += data[i];
  }
  return all;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  if (size < 8) return 0;
  switch (data[0]) {
    case 'a': kept += sum_all(data, size); break;
    case 'b': kept += sum_rest(data, size); break;
    case 'u':
      if (!memcmp(data + 1, "SER:", 4)) run_session(data + 5, size - 5);
      break;
    case 'x':
      if (data[1] == '!')
        if (data[2] == '?')
          if (data[3] == (data[2] ^ 1)) close_all(data + 4, size - 4);
      break;
    case 't':
      if (size > 80) token(data + 3, data[1] & 63, data[2] & 63);
      break;
    case 'd':
      if (!memcmp(data + 1, "AY: ", 4)) kept += weekday(data[5]);
      break;
    case 'l':
      if (data[1] < data[2])
        if (data[2] < data[3])
          if (data[3] < data[4]) kept += line(data + 5, size - 5);
      break;
    case 'o': kept += total(data + 1, size - 1); break;
  }
  return 0;
}
