/* A harness for that library. */
#include <stddef.h>
#include <stdint.h>
int length_of(const unsigned char *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) { return length_of(data, size) & 0; }
