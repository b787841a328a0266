/* A program with that library. */
#include <stdio.h>
int length_of(const unsigned char *data, size_t size);
int main(void) {
  unsigned char text[64];
  return printf("%d\n", length_of(text, fread(text, 1, sizeof text, stdin))) < 0;
}
