/* bad: "A"*40 -> stack-smash in parse_word */
/* good: "word" */
#include <stddef.h>
#include <stdint.h>

static volatile char seen;

/* called once: a compiler that inlines it would make the harness take the blame */
static void parse_word(const uint8_t *text, size_t size) {
  char word[8];
#ifdef FIXED
  if (size > sizeof word) return;
#endif
  for (size_t i = 0; i < size; i++) ((volatile char *)word)[i] = (char)text[i];
  seen = word[0];
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  parse_word(data, size);
  return 0;
}
