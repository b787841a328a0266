/* Sampled trace-cmp: most of a parser's cost is these callbacks, and a sample of executions serves libFuzzer's table
   of recent comparisons as well. Tail calls, since libFuzzer takes its caller's address for the place. */
#define _GNU_SOURCE
#include <dlfcn.h>

#include "monitor.h"

#define FORWARD(name, parameters, arguments)                                                        \
  static void firedamp_no_##name parameters {}                                                      \
  static void (*firedamp_##name) parameters = firedamp_no_##name;                                   \
  void __sanitizer_cov_trace_##name parameters {                                                    \
    if (__builtin_expect(firedamp_comparing, 0)) firedamp_##name arguments;                         \
  }
#define CALLBACKS(one)                                                    \
  one(cmp1, (uint8_t a, uint8_t b), (a, b))                               \
  one(cmp2, (uint16_t a, uint16_t b), (a, b))                             \
  one(cmp4, (uint32_t a, uint32_t b), (a, b))                             \
  one(cmp8, (uint64_t a, uint64_t b), (a, b))                             \
  one(const_cmp1, (uint8_t a, uint8_t b), (a, b))                         \
  one(const_cmp2, (uint16_t a, uint16_t b), (a, b))                       \
  one(const_cmp4, (uint32_t a, uint32_t b), (a, b))                       \
  one(const_cmp8, (uint64_t a, uint64_t b), (a, b))                       \
  one(switch, (uint64_t value, uint64_t *cases), (value, cases))

CALLBACKS(FORWARD)

/* gcc's alone; libFuzzer has no use for them. */
void __sanitizer_cov_trace_cmpf(float a, float b) { (void)a, (void)b; }
void __sanitizer_cov_trace_cmpd(double a, double b) { (void)a, (void)b; }

#define RESOLVE(name, parameters, arguments)                                           \
  if ((found = dlsym(RTLD_DEFAULT, "__sanitizer_cov_trace_" #name))) firedamp_##name = found;

__attribute__((constructor(101))) static void firedamp_find_libfuzzer(void) {
  void *found;
  CALLBACKS(RESOLVE)
}
