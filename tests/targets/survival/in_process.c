/* What only the fuzzing process does: it has libFuzzer in it. A stand-in for all that goes wrong there alone. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdint.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  if (size > 0 && data[0] == 'x' && dlsym(RTLD_DEFAULT, "LLVMFuzzerRunDriver")) abort();
  return 0;
}
