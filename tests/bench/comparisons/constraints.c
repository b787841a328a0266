/* Conditions on the input, for comparisons.py. -DCASE=NAME makes a harness that aborts when the condition NAME holds; the
   others are not in it. solutions.toml holds an input for each, in hex, which proves that it can be met at all. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { MOST = 128 }; /* bytes of an input; text[] has room for a NUL behind them */

typedef struct {
  const uint8_t *bytes;
  size_t size;
  const char *text; /* the same with a NUL behind it */
} Input;

#define CONSTRAINT(name) static inline int name(Input in)
#define NEEDS(count) \
  if (in.size < (count)) return 0

static inline uint16_t u16(const uint8_t *at) { return (uint16_t)(at[0] | at[1] << 8); }
static inline uint32_t u32(const uint8_t *at) { return u16(at) | (uint32_t)u16(at + 2) << 16; }
static inline uint64_t u64(const uint8_t *at) { return u32(at) | (uint64_t)u32(at + 4) << 32; }
static inline uint16_t big16(const uint8_t *at) { return (uint16_t)(at[0] << 8 | at[1]); }
static inline uint32_t big32(const uint8_t *at) { return (uint32_t)big16(at) << 16 | big16(at + 2); }
static inline uint64_t big64(const uint8_t *at) { return (uint64_t)big32(at) << 32 | big32(at + 4); }

/* integers */

CONSTRAINT(bytes_nested) {
  NEEDS(6);
  if (in.bytes[0] == 0xd1)
    if (in.bytes[1] == 'q')
      if (in.bytes[3] == 0x07)
        if (in.bytes[5] == 0xfe) return 1;
  return 0;
}

CONSTRAINT(u16_big) {
  NEEDS(4);
  return big16(in.bytes + 2) == 0xbe1f;
}

CONSTRAINT(i16_range) {
  NEEDS(2);
  int16_t value = (int16_t)u16(in.bytes);
  return value > -31007 && value < -31001;
}

CONSTRAINT(u32_little) {
  NEEDS(8);
  return u32(in.bytes + 4) == 0x8badf00d;
}

CONSTRAINT(u32_big) {
  NEEDS(4);
  return big32(in.bytes) == 0x93a7c215;
}

CONSTRAINT(i32_range) {
  NEEDS(4);
  int32_t value = (int32_t)u32(in.bytes);
  return value < -1987654300 && value > -1987654325;
}

CONSTRAINT(u32_masked) {
  NEEDS(4);
  return (u32(in.bytes) & 0xfff0ff3f) == 0x9230c51d;
}

CONSTRAINT(u32_scaled) { /* arithmetic on what is compared */
  NEEDS(4);
  return u32(in.bytes) * 3 + 7 == 0x7c4f9a3d;
}

CONSTRAINT(u32_both_sides) { /* and neither side is a constant */
  NEEDS(12);
  uint32_t left = u32(in.bytes + 2), right = big32(in.bytes + 7);
  return left > 1000000 && left + 0x01020304 == (right ^ 0x5a5aa5a5);
}

CONSTRAINT(u64_little) {
  NEEDS(8);
  return u64(in.bytes) == 0xe7c3b1d95f02468a;
}

CONSTRAINT(u64_big_range) {
  NEEDS(8);
  uint64_t value = big64(in.bytes);
  return value > 0x7a00b1c2d3e4f500 && value < 0x7a00b1c2d3e4f600;
}

CONSTRAINT(u64_shifted) {
  NEEDS(8);
  return u64(in.bytes) >> 13 == 0x4d3c2b1a09817;
}

CONSTRAINT(u128) {
  NEEDS(16);
  unsigned __int128 value = (unsigned __int128)u64(in.bytes + 8) << 64 | u64(in.bytes);
  return value == ((unsigned __int128)0x0f1e2d3c4b5a6978 << 64 | 0x8796a5b4c3d2e1f1);
}

/* floating point */

CONSTRAINT(double_equal) {
  NEEDS(8);
  double value;
  memcpy(&value, in.bytes, sizeof value);
  return value == 2.718281828459045;
}

CONSTRAINT(float_range) {
  NEEDS(4);
  float value;
  memcpy(&value, in.bytes, sizeof value);
  return value > 1.25e-6f && value < 1.2501e-6f;
}

CONSTRAINT(double_squared) {
  NEEDS(8);
  double value;
  memcpy(&value, in.bytes, sizeof value);
  return value < 0 && value * value > 1999.0 && value * value < 1999.001;
}

/* strings */

CONSTRAINT(strcmp_whole) { return !strcmp(in.text, "open sesame"); }

CONSTRAINT(strncmp_then_strcasecmp) {
  if (strncmp(in.text, "Upgrade: ", 9)) return 0;
  return !strcasecmp(in.text + 9, "h2c-Socket");
}

CONSTRAINT(memcmp_binary) {
  static const uint8_t magic[12] = {0xab, 'K', 'T', 'X', ' ', '1', '1', 0xbb, '\r', '\n', 0x1a, '\n'};
  NEEDS(17);
  return !memcmp(in.bytes + 5, magic, sizeof magic);
}

CONSTRAINT(strstr_then_strcmp) {
  const char *found = strstr(in.text, "charset=");
  return found && !strcmp(found + 8, "koi8-r");
}

CONSTRAINT(loop_by_hand) {
  static const char word[] = "BEGIN:VCARD";
  for (size_t i = 0; word[i]; i++)
    if (i >= in.size || in.bytes[i] != (uint8_t)word[i]) return 0;
  return 1;
}

CONSTRAINT(loop_without_exit) { /* as secrets are compared */
  static const char word[] = "hunter42";
  unsigned differences = 0;
  NEEDS(8);
  for (size_t i = 0; i < 8; i++) differences |= in.bytes[i] ^ (uint8_t)word[i];
  return differences == 0;
}

static inline size_t field(Input in, size_t at, const char *word) { /* a length byte and so many bytes: the end, or 0 */
  size_t length = strlen(word);
  if (at + 1 + length > in.size || in.bytes[at] != length) return 0;
  return memcmp(in.bytes + at + 1, word, length) ? 0 : at + 1 + length;
}

CONSTRAINT(length_prefixed) {
  size_t end = field(in, 0, "ssh-rsa");
  return end && (end = field(in, end, "nistp256")) && field(in, end, "none");
}

/* switch */

CONSTRAINT(switch_sparse) {
  NEEDS(8);
  switch (u32(in.bytes)) {
    case 0x00000011: return 0;
    case 0x4d4d002a: return 0;
    case 0x49492a00: break;
    case 0x89504e47: return 0;
    case 0xd9a7c2b1: return 0;
    default: return 0;
  }
  switch (u32(in.bytes + 4)) {
    case 100: return 0;
    case 70000: return 0;
    case 0xa0b1c2d3: return 1;
    case 0xf0e1d2c3: return 0;
    default: return 0;
  }
}

/* numbers in text */

CONSTRAINT(decimal_strtol) { return strtol(in.text, NULL, 10) == 48213907; }

CONSTRAINT(hex_strtoul) {
  if (strncmp(in.text, "id=", 3)) return 0;
  return strtoul(in.text + 3, NULL, 16) == 0x1cafe5a7;
}

CONSTRAINT(decimal_by_hand) {
  int value = 0;
  if (in.text[0] != '-') return 0;
  for (const char *at = in.text + 1; *at >= '0' && *at <= '9' && value < 1000000; at++) value = value * 10 + *at - '0';
  return value == 73512;
}

/* checksums */

CONSTRAINT(sum16) {
  NEEDS(16);
  uint16_t sum = 0;
  for (size_t i = 2; i < in.size; i++) sum = (uint16_t)(sum + in.bytes[i]);
  return in.bytes[2] == 'P' && in.bytes[3] == 'K' && u16(in.bytes) == sum;
}

CONSTRAINT(crc32_field) {
  uint32_t crc = 0xffffffff;
  NEEDS(12);
  for (size_t i = 4; i < in.size; i++) {
    crc ^= in.bytes[i];
    for (int bit = 0; bit < 8; bit++) crc = crc >> 1 ^ (crc & 1 ? 0xedb88320 : 0);
  }
  return big32(in.bytes) == ~crc;
}

CONSTRAINT(adler32_after_magic) {
  uint32_t a = 1, b = 0;
  NEEDS(12);
  if (memcmp(in.bytes, "ZBLK", 4)) return 0;
  for (size_t i = 8; i < in.size; i++) {
    a = (a + in.bytes[i]) % 65521;
    b = (b + a) % 65521;
  }
  return u32(in.bytes + 4) == (b << 16 | a);
}

/* nested three deep and more */

CONSTRAINT(header_nested) {
  NEEDS(16);
  if (big32(in.bytes) == 0x4d546864) {
    if (big32(in.bytes + 4) == in.size - 8) {
      if (big16(in.bytes + 8) == 1 && big16(in.bytes + 10) > 500) {
        if (u32(in.bytes + 12) == (big32(in.bytes) ^ 0x0badcafe)) return 1;
      }
    }
  }
  return 0;
}

CONSTRAINT(chunks) { /* tag, length, bytes; three in this order, of these lengths */
  static const struct {
    char tag[5];
    unsigned length;
  } wanted[] = {{"FORM", 6}, {"COMM", 2}, {"SSND", 9}};
  size_t at = 0;
  for (size_t i = 0; i < sizeof wanted / sizeof *wanted; i++) {
    if (at + 6 > in.size || memcmp(in.bytes + at, wanted[i].tag, 4)) return 0;
    unsigned length = big16(in.bytes + at + 4);
    if (length != wanted[i].length || length > in.size - at - 6) return 0;
    at += 6 + length;
  }
  return 1;
}

CONSTRAINT(assignment_nested) { /* key=number;key=word */
  char text[MOST + 1], *rest = NULL;
  strcpy(text, in.text);
  char *first = strtok_r(text, ";", &rest), *second = strtok_r(NULL, ";", &rest);
  if (!first || !second) return 0;
  if (!strncmp(first, "width=", 6))
    if (strtol(first + 6, NULL, 10) > 65535)
      if (!strcmp(second, "mode=interlaced")) return 1;
  return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  char text[MOST + 1];
  if (size > MOST) return 0;
  memcpy(text, data, size);
  text[size] = '\0';
  if (CASE((Input){data, size, text})) abort();
  return 0;
}
