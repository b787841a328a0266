/* One comparison that hides an abort behind it, chosen by -DCASE. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define TAKE(type, name, at)               \
  type name;                               \
  if (size < (at) + sizeof name) return 0; \
  memcpy(&name, data + (at), sizeof name)

static uint32_t crc32(const uint8_t *data, size_t size) {
  uint32_t crc = UINT32_MAX;
  while (size--) {
    crc ^= *data++;
    for (int bit = 0; bit < 8; bit++) crc = crc >> 1 ^ (0xedb88320u & -(crc & 1));
  }
  return ~crc;
}

enum { TWO_WORDS, CHECKSUM, STRING, LOOP, SWITCH, LENGTH, DECIMAL, NEGATIVE };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  char text[64] = "";
  memcpy(text, data, size < sizeof text ? size : sizeof text - 1);
  if (CASE == TWO_WORDS) {
    TAKE(uint32_t, first, 0);
    if (first != 0x12345678) return 0;
    TAKE(uint32_t, second, 4);
    if (second == __builtin_bswap32(0xcafef00d)) abort();
  } else if (CASE == CHECKSUM) {
    TAKE(uint32_t, crc, 0);
    if (crc != crc32(data + 4, size - 4)) return 0;
    TAKE(uint64_t, word, 8);
    if (word == 0x1122334455667788) abort(); /* in an input whose checksum is right */
  } else if (CASE == STRING) {
    if (!strcmp(text, "correct horse battery")) abort();
  } else if (CASE == LOOP) {
    static const char magic[] = "own-loop-magic";
    size_t same = 0;
    while (same < sizeof magic - 1 && text[2 + same] == magic[same]) same++;
    if (same == sizeof magic - 1) abort();
  } else if (CASE == SWITCH) {
    TAKE(uint64_t, word, 0);
    switch (word) {
      case 0x1111222233334444: abort();
      case 0x5555666677778888: abort();
    }
  } else if (CASE == LENGTH) {
    if (size == 301) abort();
  } else if (CASE == DECIMAL) {
    if (atoi(text) == 1234567) abort();
  } else if (CASE == NEGATIVE) {
    volatile int64_t nothing = 0;
    if (nothing == -2) return 1; /* no input is so long */
    TAKE(int64_t, number, 0);
    if (number == -1234567890123) abort();
  }
  return text[0] == 1;
}
