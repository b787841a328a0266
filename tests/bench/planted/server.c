/* A small server's message handler with ten bugs of nine kinds, for planted.py. A message is a letter and its payload.
   Five bugs are shallow, so that most of what a fuzzer sends dies of them; two lie behind a comparison of four bytes, two
   behind three nested conditions, one behind a string. PLANTED says exactly when each of them strikes:
     (nothing)   the bug is there, and PLANTED is no code at all (sizeof evaluates nothing)
     -DFIXED     such a message is refused: the twin that must stay silent
     -DLABELS    such a message is refused and named: the ground truth for inputs that a fuzzer calls a crash */
#include <assert.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int planted_label; /* 1 to 10: which bug the last message would have met */

#if defined LABELS
#define PLANTED(number, strikes) \
  do { \
    if (strikes) { \
      planted_label = number; \
      return; \
    } \
  } while (0)
#elif defined FIXED
#define PLANTED(number, strikes) \
  do { \
    if (strikes) return; \
  } while (0)
#else
#define PLANTED(number, strikes) (void)sizeof(strikes)
#endif

enum { MOST = 256 }; /* bytes of a message */

typedef struct {
  const uint8_t *bytes;
  size_t size;
} Payload;

volatile unsigned sink;

static unsigned u16(const uint8_t *bytes) { return bytes[0] | (unsigned)bytes[1] << 8; }

static uint32_t u32(const uint8_t *bytes) { return u16(bytes) | (uint32_t)u16(bytes + 2) << 16; }

/* N: a name with its length in front, copied by hand. Stack smash; nothing in front of it. */
static void set_name(Payload in) {
  char name[16];
  if (in.size < 1) return;
  size_t length = in.bytes[0] % 64;
  if (length > in.size - 1) length = in.size - 1;
  PLANTED(1, length > sizeof name);
  for (size_t i = 0; i < length; i++) name[i] = (char)in.bytes[1 + i];
  for (size_t i = 0; i < length; i++) sink += (unsigned char)name[i];
}

/* H: a host's name, copied by strcpy. Fortify overflow; nothing in front of it. */
static void set_host(const char *text) {
  char host[24];
  PLANTED(2, strlen(text) >= sizeof host);
  strcpy(host, text);
  sink += (unsigned char)host[0];
}

static int only_newlines(const char *text) {
  for (; (text = strchr(text, '%')) != NULL; text += 2)
    if (text[1] != 'n' && text[1] != '%') return 0;
  return 1;
}

static int has_newline(const char *text) {
  for (; (text = strchr(text, '%')) != NULL; text += 2)
    if (text[1] == 'n') return 1;
  return 0;
}

/* T: a template in which %n shall mean a new line. FORTIFY's %n; every other directive is refused. */
static void use_template(const char *text) {
  char line[64];
  if (!only_newlines(text)) return;
  PLANTED(3, has_newline(text));
  snprintf(line, sizeof line, text);
  sink += (unsigned char)line[0];
}

static int has_directive(const char *text) {
  for (; (text = strchr(text, '%')) != NULL; text += 2)
    if (text[1] != '%') return 1;
  return 0;
}

/* W: a word of four bytes, then a warning which is used as the format. Format arguments; FORTIFY is silent here. */
static void warn_user(Payload in, const char *text) {
  char line[64];
  if (in.size < 5 || u32(in.bytes) != 0x4e524157) return;
  text += 4;
  if (strlen(text) < 1 || strchr(text, 'n')) return;
  PLANTED(4, has_directive(text));
  snprintf(line, sizeof line, text);
  sink += (unsigned char)line[0];
}

typedef struct {
  char *cells[4];
  unsigned freed; /* bit n: cell n */
} Queue;

static void free_cell(Queue *queue, unsigned cell) {
  PLANTED(5, queue->freed & 1u << cell);
  free(queue->cells[cell]);
  queue->freed |= 1u << cell;
}

/* Q: orders to a queue of four cells. Heap corruption (a cell is freed twice), behind three conditions. */
static void run_queue(Payload in) {
  Queue queue = {{NULL, NULL, NULL, NULL}, 0};
  for (size_t i = 0; i + 1 < in.size && i < 16; i += 2) {
    unsigned cell = in.bytes[i + 1] & 3;
    if (in.bytes[i] == '+' && !queue.cells[cell]) queue.cells[cell] = malloc(40);
    if (in.bytes[i] == '-' && queue.cells[cell]) {
      if (in.bytes[i + 1] >= 0xc0) free_cell(&queue, cell);
    }
  }
  for (unsigned cell = 0; cell < 4; cell++)
    if (!(queue.freed & 1u << cell)) free(queue.cells[cell]);
}

/* D: rows shared out among columns. Division by zero, behind one condition. */
static void divide(Payload in) {
  if (in.size < 4) return;
  unsigned rows = u16(in.bytes), columns = (unsigned)in.bytes[2] - in.bytes[3];
  if (rows < 1000) return;
  PLANTED(6, columns == 0);
  sink += rows / columns;
}

/* A: an entry of an archive. Assertion, behind three nested conditions. */
static void read_entry(Payload in) {
  if (in.size < 10) return;
  unsigned version = in.bytes[0], offset = u16(in.bytes + 1), length = u16(in.bytes + 3), total = u16(in.bytes + 5);
  if (version == 7) {
    if (length > 40 && length < 60) {
      if (total == offset * 2 + 1) {
        PLANTED(7, offset + length > total);
        assert(offset + length <= total);
        sink += total;
      }
    }
  }
}

typedef struct {
  const char *name;
  int level;
} Account;

static const Account accounts[] = {{"anna", 1}, {"bertha", 2}, {"clara", 3}};

static const Account *find_account(const char *name) {
  for (size_t i = 0; i < sizeof accounts / sizeof *accounts; i++)
    if (!strcmp(name, accounts[i].name)) return &accounts[i];
  return NULL;
}

/* U: a user who wants to be another one. Null pointer, behind a string. */
static void switch_user(const char *text) {
  if (strncmp(text, "su ", 3)) return;
  const Account *volatile account = find_account(text + 3);
  PLANTED(8, account == NULL);
  sink += (unsigned)account->level;
}

static unsigned nested(unsigned depth) {
  volatile char frame[1024];
  frame[depth % sizeof frame] = (char)depth;
  return depth == 0 ? 0 : nested(depth - 1) + (unsigned)frame[depth % sizeof frame];
}

/* L: lists within lists, as deep as the message says. Stack exhaustion, behind one condition. */
static void read_lists(Payload in) {
  if (in.size < 3 || in.bytes[0] != '(') return;
  unsigned depth = u16(in.bytes + 1);
  PLANTED(9, depth > 500);
  sink += nested(depth);
}

static void copy_serial(const uint8_t *bytes, size_t length) {
  uint8_t serial[20];
  PLANTED(10, length > sizeof serial);
  for (size_t i = 0; i < length; i++) serial[i] = bytes[i];
  for (size_t i = 0; i < length; i++) sink += serial[i];
}

/* C: a certificate, known by four bytes. A second stack smash, in another function, and deeper. */
static void read_certificate(Payload in) {
  if (in.size < 8 || u32(in.bytes) != 0xfeedc0de) return;
  size_t length = in.bytes[4] % 80;
  if (in.bytes[5] == 2 && length <= in.size - 6) copy_serial(in.bytes + 6, length);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  static char text[MOST]; /* the payload with a NUL behind it */
  planted_label = 0;
  if (size < 2 || size > MOST) return 0;
  Payload in = {data + 1, size - 1};
  memcpy(text, in.bytes, in.size);
  text[in.size] = '\0';
  switch (data[0]) {
    case 'N': set_name(in); break;
    case 'H': set_host(text); break;
    case 'T': use_template(text); break;
    case 'W': warn_user(in, text); break;
    case 'Q': run_queue(in); break;
    case 'D': divide(in); break;
    case 'A': read_entry(in); break;
    case 'U': switch_user(text); break;
    case 'L': read_lists(in); break;
    case 'C': read_certificate(in); break;
    default: break;
  }
  return 0;
}

#ifdef LABELS
/* Prints the number of the bug that each file meets first (0: none), one line each. */
int main(int argc, char **argv) {
  for (int i = 1; i < argc; i++) {
    uint8_t bytes[MOST + 1];
    FILE *file = fopen(argv[i], "rb");
    if (!file) return 66; /* EX_NOINPUT of sysexits.h */
    size_t size = fread(bytes, 1, sizeof bytes, file);
    fclose(file);
    LLVMFuzzerTestOneInput(bytes, size);
    printf("%d\n", planted_label);
  }
  return 0;
}
#endif
