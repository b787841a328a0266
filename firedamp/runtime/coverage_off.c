/* Callbacks of -fsanitize-coverage that do nothing: for `replay`, and for what firedamp-cc links. Weak, since a program
   or a libFuzzer that counts has its own. */
#include <stddef.h>
#include <stdint.h>

#define CALLBACK(name, ...) \
  __attribute__((weak)) void __sanitizer_cov_##name(__VA_ARGS__) {}

CALLBACK(trace_pc, void)
CALLBACK(trace_pc_indir, uintptr_t callee)
CALLBACK(8bit_counters_init, uint8_t *start, uint8_t *stop)
CALLBACK(pcs_init, const uintptr_t *start, const uintptr_t *stop)
CALLBACK(trace_cmp1, uint8_t a, uint8_t b)
CALLBACK(trace_cmp2, uint16_t a, uint16_t b)
CALLBACK(trace_cmp4, uint32_t a, uint32_t b)
CALLBACK(trace_cmp8, uint64_t a, uint64_t b)
CALLBACK(trace_const_cmp1, uint8_t a, uint8_t b)
CALLBACK(trace_const_cmp2, uint16_t a, uint16_t b)
CALLBACK(trace_const_cmp4, uint32_t a, uint32_t b)
CALLBACK(trace_const_cmp8, uint64_t a, uint64_t b)
CALLBACK(trace_cmpf, float a, float b)
CALLBACK(trace_cmpd, double a, double b)
CALLBACK(trace_div4, uint32_t a)
CALLBACK(trace_div8, uint64_t a)
CALLBACK(trace_gep, uintptr_t index)
CALLBACK(trace_switch, uint64_t value, uint64_t *cases)

/* libFuzzer's, which a mutator of the target's own calls: never in a replay. */
__attribute__((weak)) size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t room) {
  (void)data, (void)room;
  return size;
}
