/* bad: "["*4000 "NEST" -> stack-exhaustion in parse_item,parse_list */
/* good: "[[[]]]" */
#include <stddef.h>
#include <stdint.h>

enum { DEPTH = 100 };

int parse_item(const uint8_t *text, size_t size, int depth);

__attribute__((noinline)) int parse_list(const uint8_t *text, size_t size, int depth) {
  volatile char room[4096];
  room[size & 4095] = 1; /* an index that is unknown keeps the whole array */
  return parse_item(text, size, depth + 1) + room[(size + 1) & 4095];
}

__attribute__((noinline)) int parse_item(const uint8_t *text, size_t size, int depth) {
#ifdef FIXED
  if (depth > DEPTH) return 0;
#endif
  if (size == 0 || text[0] != '[') return depth;
  return parse_list(text + 1, size - 1, depth) + 1;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  return parse_item(data, size, 0) & 0;
}
