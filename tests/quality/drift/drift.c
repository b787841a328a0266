/* Bugs behind which a shorter input meets another one: who shrinks by "it still crashes" comes back with that.
   Each case begins with its letter. */
#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

volatile int kept;

/* L: a name of more than 24 bytes smashes the stack; a line without a name, which is shorter, aborts. */
static void line(const uint8_t *text, size_t size) {
  char name[24];
  if (size < 10) abort();
  size_t length = 0;
  while (length < size && text[length] != ';') {
    name[length] = (char)text[length];
    length++;
  }
  for (size_t i = 0; i < sizeof name; i++) kept += name[i];
}

/* C: a count that the records do not bear out; a wild record, which is shorter, is a null pointer. */
static void count(const uint8_t *text, size_t size) {
  const int *none = NULL;
  if (text[0] == 'x' && size > 20) assert(text[1] == text[2] + 1);
  if (text[0] != 'x') kept += *(volatile const int *)none;
}

/* D: a division by zero in the tail; without its header the trap. */
static void divide(const uint8_t *text, size_t size) {
  if (memcmp(text, "HEAD", 4)) __builtin_trap();
  if (size > 12) kept += (int)size / (text[size - 1] - text[4]);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  if (size < 5) return 0;
  switch (data[0]) {
    case 'L': line(data + 1, size - 1); break;
    case 'C': count(data + 1, size - 1); break;
    case 'D': divide(data + 1, size - 1); break;
  }
  return 0;
}
