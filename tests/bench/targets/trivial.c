/* Next to nothing per execution: what is measured is the way from libFuzzer to the target and back. */
#include <stddef.h>
#include <stdint.h>

volatile unsigned sink;

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  char text[16] = "";
  for (size_t i = 0; i < size && i < sizeof text; i++) text[i] = (char)data[i];
  sink = (unsigned char)text[0];
  return 0;
}
