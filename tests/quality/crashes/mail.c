/* Headers of mails: arrays on the stack that are too small. */
#include <string.h>

#include "bugs.h"

enum { SUBJECT = 1, ADDRESS_LOCAL, ADDRESS_DOMAIN, SENDER, DATE, RECEIVED };

struct context {
  const uint8_t *next;
  const uint8_t *end;
  int lines;
};

volatile int kept;

static void keep(const char *text, size_t size) {
  for (size_t i = 0; i < size; i++) kept += text[i];
}

/* SUBJECT: no length is looked at. Two callers, one place to repair. */
static void store_subject(const uint8_t *text, size_t size) {
  char subject[24];
  size_t length = 0;
  while (length < size && text[length] != '\n') {
    if (fixed(SUBJECT) && length == sizeof subject) break;
    subject[length] = (char)text[length];
    length++;
  }
  keep(subject, sizeof subject);
}

static void on_header(const uint8_t *text, size_t size) {
  kept++;
  store_subject(text, size);
}

static int on_trailer(const uint8_t *text, size_t size) {
  char last[8] = {0};
  if (size > 8) store_subject(text + 1, size - 1);
  keep(last, sizeof last);
  return kept;
}

/* ADDRESS_LOCAL and ADDRESS_DOMAIN: two arrays, two loops, two repairs; the function has one way out. */
static int parse_address(const uint8_t *text, size_t size) {
  char local[16] = {0};
  char domain[16] = {0};
  size_t at = 0, length = 0;
  while (at < size && text[at] != '@') {
    if (fixed(ADDRESS_LOCAL) && at == sizeof local) break;
    local[at] = (char)text[at];
    at++;
  }
  while (at < size && text[at] != '@') at++;
  for (at++; at < size && text[at] != '>'; at++) {
    if (fixed(ADDRESS_DOMAIN) && length == sizeof domain) break;
    domain[length++] = (char)text[at];
  }
  keep(local, sizeof local);
  keep(domain, sizeof domain);
  return kept;
}

/* Right as it stands: whoever calls it has to have the room. */
static void copy(char *to, const uint8_t *from, size_t size) {
  for (size_t i = 0; i < size && from[i] != '\n'; i++) to[i] = (char)from[i];
}

static int on_sender(const uint8_t *text, size_t size) {
  char sender[12];
  if (fixed(SENDER) && size > sizeof sender) return 0;
  copy(sender, text, size);
  keep(sender, sizeof sender);
  return kept;
}

static int on_date(const uint8_t *text, size_t size) {
  char date[20];
  if (fixed(DATE) && size > sizeof date) return 0;
  copy(date, text, size);
  keep(date, sizeof date);
  return kept;
}

/* RECEIVED: a long line also overwrites the context, which lies in the caller's frame and is used again. */
static int on_received(struct context *context) {
  char host[32];
  size_t length = 0;
  while (context->next < context->end && *context->next != '\n') {
    if (fixed(RECEIVED) && length == sizeof host) break;
    host[length++] = (char)*context->next++;
  }
  context->lines++;
  keep(host, sizeof host);
  return kept;
}

static int on_trace(const uint8_t *text, size_t size) {
  struct context context = {.next = text, .end = text + size};
  while (context.lines < 3 && context.next < context.end) {
    on_received(&context);
    context.next++;
  }
  return context.lines;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  if (size < 6) return 0;
  const uint8_t *text = data + 5;
  size_t rest = size - 5;
  switch (data[0]) {
    case 'S': on_header(text, rest); break;
    case 'T': on_trailer(text, rest); break;
    case 'A': parse_address(text, rest); break;
    case 'B': /* three nested conditions before the same function */
      if (data[1] > 'm')
        if (data[2] == (data[1] ^ 3))
          if (data[3] % 7 == 2) parse_address(text, rest);
      break;
    case 'F': on_sender(text, rest); break;
    case 'D':
      if (!memcmp(data + 1, "ATE:", 4)) on_date(text, rest);
      break;
    case 'R':
      if (!memcmp(data + 1, "CVD:", 4)) on_trace(text, rest);
      break;
  }
  return 0;
}
