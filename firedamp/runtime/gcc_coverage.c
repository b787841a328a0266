/* Hands gcc's counters to libFuzzer. Each call of __sanitizer_cov_trace_pc that gcc wrote has become an increment of
   a byte of its own in the section __sancov_cntrs (see `as` and edges.sed), which is what clang does by itself:
   there the compiler writes this constructor. What was assembled without our `as` still calls the function below. */
#include <stddef.h>
#include <stdint.h>

#define OURS __attribute__((weak, visibility("hidden")))
extern uint8_t __start___sancov_cntrs[] OURS, __stop___sancov_cntrs[] OURS; /* ld(1) makes them */
extern uintptr_t __start___sancov_pcs[] OURS, __stop___sancov_pcs[] OURS;

/* libFuzzer's, in the global scope. */
#pragma GCC visibility push(default)
__attribute__((weak)) void __sanitizer_cov_8bit_counters_init(uint8_t *start, uint8_t *stop);
__attribute__((weak)) void __sanitizer_cov_pcs_init(const uintptr_t *start, const uintptr_t *stop);
#pragma GCC visibility pop

void __sanitizer_cov_trace_pc(void) {}

__attribute__((constructor)) static void firedamp_register_counters(void) {
  if (&__start___sancov_cntrs[0] == &__stop___sancov_cntrs[0] || !__sanitizer_cov_8bit_counters_init) return;
  __sanitizer_cov_8bit_counters_init(__start___sancov_cntrs, __stop___sancov_cntrs);
  if (__sanitizer_cov_pcs_init) __sanitizer_cov_pcs_init(__start___sancov_pcs, __stop___sancov_pcs);
}
