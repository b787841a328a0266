/* A small stack machine: assertions, aborts and an exit. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "bugs.h"

enum { FRAME_LENGTH = 1, FRAME_KIND, POP, VERSION, CHECKSUM, OPCODE, QUIT, COUNT_ROWS, COUNT_COLUMNS, PEEK };

enum { DEPTH = 64 };

static int stack[DEPTH];
static int depth;
volatile int kept;

/* FRAME_LENGTH and FRAME_KIND: two assertions in one function. */
static void check_frame(const uint8_t *frame, size_t size) {
  if (!fixed(FRAME_LENGTH)) assert(frame[0] <= size);
  if (!fixed(FRAME_KIND)) assert(frame[1] < 8);
  kept += frame[1];
}

static void push(int value) {
  if (depth < DEPTH) stack[depth++] = value;
}

/* POP: whoever calls it, an empty stack is met here. */
static int pop(void) {
  if (fixed(POP) && depth == 0) return 0;
  assert(depth > 0);
  return stack[--depth];
}

static void add(void) { push(pop() + pop()); }

static void multiply(void) {
  int right = pop();
  push((int)((unsigned)pop() * (unsigned)right));
}

static void drop(int times) {
  while (times--) kept += pop();
}

/* Says that something is wrong; what is wrong is its caller's affair. */
static void die(const char *why) {
  kept += why[0];
  abort();
}

static void check_version(const uint8_t *data) {
  if (data[0] > 9 && !fixed(VERSION)) die("version");
}

static void check_sum(const uint8_t *data, size_t size) {
  unsigned sum = 0;
  for (size_t i = 1; i < size; i++) sum += data[i];
  if ((sum & 255) != data[0] && !fixed(CHECKSUM)) die("checksum");
}

/* OPCODE: values that the author thought impossible. */
static void execute(const uint8_t *code, size_t size) {
  for (size_t i = 0; i < size; i++) switch (code[i]) {
      case '0' ... '9': push(code[i] - '0'); break;
      case '+': add(); break;
      case '*': multiply(); break;
      case 'd': drop(3); break;
      case ' ': break;
      default:
        if (!fixed(OPCODE)) abort();
    }
}

static void quit(int status) {
  if (!fixed(QUIT)) exit(status);
}

/* COUNT_ROWS and COUNT_COLUMNS: one sentence, two functions, two repairs. */
static int count_rows(int count) {
  if (!fixed(COUNT_ROWS)) assert(count > 0);
  return kept + count;
}

static int count_columns(int count) {
  if (!fixed(COUNT_COLUMNS)) assert(count > 0);
  return kept - count;
}

/* PEEK: inlined into each of its callers. */
static inline __attribute__((always_inline)) uint8_t peek(const uint8_t *data, size_t size, size_t at) {
  if (fixed(PEEK) && at >= size) return 0;
  assert(at < size);
  return data[at];
}

static int read_short(const uint8_t *data, size_t size, size_t at) {
  return peek(data, size, at) | peek(data, size, at + 1) << 8;
}

static int read_flag(const uint8_t *data, size_t size, size_t at) { return peek(data, size, at) & 1; }

static int read_tail(const uint8_t *data, size_t size) {
  int sum = 0;
  for (size_t at = 0; at < data[0] + 1u; at++) sum += peek(data, size, at);
  return sum;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  if (size < 8) return 0;
  depth = 0;
  switch (data[0]) {
    case 'f': check_frame(data + 1, size - 1); break;
    case 'g':
      if (!memcmp(data + 1, "RAME", 4)) check_frame(data + 5, size - 5);
      break;
    case 'x': execute(data + 1, size - 1); break;
    case 'v': check_version(data + 1); break;
    case 's':
      if (!memcmp(data + 1, "UMS!", 4)) check_sum(data + 5, size - 5);
      break;
    case 'q':
      if (data[1] == data[2] + 1)
        if (data[3] < 10)
          if (size % 3 == 1) quit(data[4]);
      break;
    case 'r': count_rows((int8_t)data[1]); break;
    case 'c':
      if (!memcmp(data + 1, "OLS:", 4)) count_columns((int8_t)data[5]);
      break;
    case 'p': kept += read_short(data, size, data[1]); break;
    case 'b': kept += read_flag(data, size, data[1]); break;
    case 't': kept += read_tail(data + 1, size - 1); break;
  }
  return 0;
}
