/* Arithmetic that the processor refuses. */
#include <limits.h>
#include <string.h>

#include "bugs.h"

enum { RATIO = 1, SCALE, BUCKETS, WIDTH, IMPOSSIBLE };

volatile int kept;

/* RATIO: two callers, one place to repair. */
static int ratio(int whole, int parts) {
  if (fixed(RATIO) && parts == 0) return 0;
  return whole / parts;
}

static int percent(const uint8_t *data) { return ratio(data[0] * 100, data[1] & 15); }

static int average(const uint8_t *data, size_t size) {
  int sum = 0, count = 0;
  for (size_t i = 0; i < size; i++)
    if (data[i] < 128) {
      sum += data[i];
      count++;
    }
  return ratio(sum, count);
}

static int scale(int value, int by) {
  if (fixed(SCALE) && value == INT_MIN) return 0;
  return by ? value / by : 0;
}

/* BUCKETS and WIDTH: two divisions in one function. */
static int bucket(int hash, int buckets, int size, int width) {
  if (fixed(BUCKETS) && buckets == 0) return 0;
  int chosen = hash % buckets;
  if (fixed(WIDTH) && width == 0) return 0;
  int columns = size / width;
  return chosen + columns;
}

static int classify(int value) {
  switch (value & 7) {
    case 0:
    case 1: return 1;
    case 2:
    case 3: return 2;
    case 4: return kept;
    default:
      if (!fixed(IMPOSSIBLE)) __builtin_trap();
      return 0;
  }
}

static int number(const uint8_t *data) {
  int value;
  memcpy(&value, data, sizeof value);
  return value;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  if (size < 12) return 0;
  switch (data[0]) {
    case 'p': kept += percent(data + 1); break;
    case 'a': kept += average(data + 1, size - 1); break;
    case 's':
      if (data[9] == '/')
        if (data[10] == data[9] + 1)
          if (data[11] < 64) kept += scale(number(data + 1), number(data + 5));
      break;
    case 'b': kept += bucket(number(data + 2), data[1] & 3, (int)size, 1 + data[6]); break;
    case 'w':
      if (!memcmp(data + 1, "IDTH", 4)) kept += bucket(number(data + 5), 1 + data[9], (int)size, data[10] & 3);
      break;
    case 'c':
      if (!memcmp(data + 1, "LASS", 4)) kept += classify(data[5]);
      break;
  }
  return 0;
}
