/* Trees and tables: null pointers, indexes that nobody looked at, a stack that runs out. */
#include <alloca.h>
#include <stdlib.h>
#include <string.h>

#include "bugs.h"

enum { LEFT = 1, RIGHT, TABLE_READ, TABLE_WRITE, HANDLER, NESTING, SCRATCH };

struct node {
  struct node *left, *right;
  int value;
};

volatile int kept;
static int table[256];

/* LEFT and RIGHT: two null pointers in one function. */
static int visit(const struct node *node, int direction) {
  int sum = node->value;
  if (direction & 1) {
    if (fixed(LEFT) && !node->left) return sum;
    sum += node->left->value;
  }
  if (direction & 2) {
    if (fixed(RIGHT) && !node->right) return sum;
    sum += node->right->value;
  }
  return sum;
}

static int walk(const uint8_t *data, size_t size) {
  struct node leaf = {.value = 3};
  struct node root = {.value = (int)size};
  root.left = data[0] & 1 ? &leaf : NULL;
  root.right = data[0] & 2 ? &leaf : NULL;
  return visit(&root, data[1]);
}

/* TABLE_READ: two callers, one place to repair. */
static int look_up(const int *in, uint32_t index) {
  if (fixed(TABLE_READ) && index >= 256) return 0;
  return in[(size_t)index * 1024];
}

static int first_of(uint32_t index) { return look_up(table, index) + 1; }

static int best_of(uint32_t index) {
  int best = 0;
  for (uint32_t i = 0; i < 2; i++) best += look_up(table, index + i);
  return best;
}

static void update(int *in, uint32_t index, int value) {
  if (fixed(TABLE_WRITE) && index >= 256) return;
  in[(size_t)index] = value;
}

static int even(int value) { return value + 2; }

/* HANDLER: a pointer out of the input is called. */
static int dispatch(const uint8_t *data) {
  int (*handler)(int) = even;
  if (!fixed(HANDLER)) memcpy(&handler, data, sizeof handler);
  return handler(3) + 1;
}

static const uint8_t *skip_blanks(const uint8_t *at, const uint8_t *end) {
  while (at < end && *at == ' ') at++;
  return at;
}

static const uint8_t *parse_item(const uint8_t *at, const uint8_t *end, int level);

/* NESTING: how deep the input nests is nobody's concern. */
static const uint8_t *parse_list(const uint8_t *at, const uint8_t *end, int level) {
  volatile char name[100];
  name[level % 100] = 1;
  at = skip_blanks(at, end);
  while (at < end && *at != ')') at = parse_item(at, end, level);
  kept += name[0];
  return at < end ? at + 1 : at;
}

static const uint8_t *parse_item(const uint8_t *at, const uint8_t *end, int level) {
  at = skip_blanks(at, end);
  if (at >= end) return at;
  if (fixed(NESTING) && level > 100) return end;
  if (*at == '(') return parse_list(at + 1, end, level + 1);
  if (*at == '[') return parse_item(at + 1, end, level + 1);
  return at + 1;
}

/* SCRATCH: as much of the stack as the input says. */
static int sum_scratch(uint32_t count, int from) {
  if (fixed(SCRATCH) && count > 1000) return 0;
  volatile int *scratch = alloca((size_t)count * sizeof *scratch);
  scratch[0] = from;
  scratch[count / 2] = 1;
  return scratch[0];
}

static uint32_t number(const uint8_t *data) { return data[0] | data[1] << 8 | data[2] << 16 | (uint32_t)data[3] << 24; }

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  if (size < 16) return 0;
  switch (data[0]) {
    case 'n': kept += walk(data + 1, size); break;
    case 'm':
      if (data[3] == 'x')
        if (data[4] > 'x')
          if (size & 1) kept += walk(data + 1, size);
      break;
    case 'r': kept += first_of(number(data + 1)); break;
    case 'b':
      if (!memcmp(data + 8, "BEST", 4)) kept += best_of(number(data + 1));
      break;
    case 'w':
      if (data[5] == 7)
        if (data[6] > data[5])
          if (data[7] == size) update(table, number(data + 1), 5);
      break;
    case 'h':
      if (!memcmp(data + 1, "CALL", 4)) kept += dispatch(data + 5);
      break;
    case '(': parse_list(data + 1, data + size, 0); break;
    case '[': parse_item(data, data + size, 0); break;
    case 's':
      if (!memcmp(data + 5, "SCRA", 4)) kept += sum_scratch(number(data + 1), data[9]);
      break;
  }
  return 0;
}
