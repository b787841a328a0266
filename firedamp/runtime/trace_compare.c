/* Sampled trace-cmp: most of a parser's cost is these callbacks, and a sample of executions serves libFuzzer's table
   of recent comparisons as well. What the solver wants to know is written down (operands.h). */
#define _GNU_SOURCE
#include <dlfcn.h>

#include "monitor.h"
#include "operands.h"

/* Tail calls all the way, since libFuzzer takes its caller's address for the place. */
#define FORWARD(name, parameters, arguments, note)                                                        \
  static void firedamp_no_##name parameters {}                                                            \
  static void (*firedamp_##name) parameters = firedamp_no_##name;                                         \
  static __attribute__((noinline)) void firedamp_record_##name parameters {                                 \
    note;                                                                                                 \
    if (firedamp_comparing & FIREDAMP_REPORTED) firedamp_##name arguments;                                \
  }                                                                                                       \
  void __sanitizer_cov_trace_##name parameters {                                                          \
    if (__builtin_expect(!firedamp_comparing, 1)) return;                                                 \
    if (firedamp_comparing & FIREDAMP_RECORDED) firedamp_record_##name arguments;                           \
    else firedamp_##name arguments;                                                                       \
  }
#define NUMBER(kind, bytes) firedamp_note_number(__builtin_return_address(0), kind, bytes, a, b)
#define SWITCH firedamp_note_switch(__builtin_return_address(0), value, cases)
#define CALLBACKS(one)                                                                         \
  one(cmp1, (uint8_t a, uint8_t b), (a, b), NUMBER(FIREDAMP_VARIABLE, 1))                      \
  one(cmp2, (uint16_t a, uint16_t b), (a, b), NUMBER(FIREDAMP_VARIABLE, 2))                    \
  one(cmp4, (uint32_t a, uint32_t b), (a, b), NUMBER(FIREDAMP_VARIABLE, 4))                    \
  one(cmp8, (uint64_t a, uint64_t b), (a, b), NUMBER(FIREDAMP_VARIABLE, 8))                    \
  one(const_cmp1, (uint8_t a, uint8_t b), (a, b), NUMBER(FIREDAMP_CONSTANT, 1))                \
  one(const_cmp2, (uint16_t a, uint16_t b), (a, b), NUMBER(FIREDAMP_CONSTANT, 2))              \
  one(const_cmp4, (uint32_t a, uint32_t b), (a, b), NUMBER(FIREDAMP_CONSTANT, 4))              \
  one(const_cmp8, (uint64_t a, uint64_t b), (a, b), NUMBER(FIREDAMP_CONSTANT, 8))              \
  one(switch, (uint64_t value, uint64_t *cases), (value, cases), SWITCH)

CALLBACKS(FORWARD)

/* gcc's alone; libFuzzer has no use for them. */
void __sanitizer_cov_trace_cmpf(float a, float b) {
  uint32_t left, right;
  if (!(firedamp_comparing & FIREDAMP_RECORDED)) return;
  __builtin_memcpy(&left, &a, sizeof left), __builtin_memcpy(&right, &b, sizeof right);
  firedamp_note_number(__builtin_return_address(0), FIREDAMP_FLOATING, 4, left, right);
}

void __sanitizer_cov_trace_cmpd(double a, double b) {
  uint64_t left, right;
  if (!(firedamp_comparing & FIREDAMP_RECORDED)) return;
  __builtin_memcpy(&left, &a, sizeof left), __builtin_memcpy(&right, &b, sizeof right);
  firedamp_note_number(__builtin_return_address(0), FIREDAMP_FLOATING, 8, left, right);
}

#define RESOLVE(name, parameters, arguments, note) \
  if ((found = dlsym(RTLD_DEFAULT, "__sanitizer_cov_trace_" #name))) firedamp_##name = found;

__attribute__((constructor(101))) static void firedamp_find_libfuzzer(void) {
  void *found;
  CALLBACKS(RESOLVE)
}
