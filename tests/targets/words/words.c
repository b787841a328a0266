/* A library that a project's own build makes: bytes behind "COPY" run over an array. */
#include <stddef.h>
#include <string.h>
int length_of(const unsigned char *data, size_t size) {
  char word[8];
  memset(word, 0, sizeof word);
  if (size > 3 && !memcmp(data, "COPY", 4)) memcpy(word, data, size);
  __asm__ volatile("" ::"r"(word) : "memory");
  return word[0] == 'C';
}
