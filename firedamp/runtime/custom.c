/* The target's own mutators, wherever it hides them: they come before ours. */
#include <stddef.h>
#include <stdint.h>

/* Hidden: where the target has none, the one of mutator.c must not be taken for it. */
#define OWN __attribute__((weak, visibility("hidden")))
#define EXPORT __attribute__((visibility("default")))

OWN size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t room, unsigned seed);
OWN size_t LLVMFuzzerCustomCrossOver(
  const uint8_t *one, size_t one_size, const uint8_t *two, size_t two_size, uint8_t *to, size_t room, unsigned seed);

EXPORT void *firedamp_custom_mutator(void) { return (void *)LLVMFuzzerCustomMutator; }
EXPORT void *firedamp_custom_cross_over(void) { return (void *)LLVMFuzzerCustomCrossOver; }
