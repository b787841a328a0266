/* What a program with a main of its own compares, where the solver asked for it: one process is one execution. */
#include "monitor.h"
#include "operands.h"

#define CALLBACK(name, type, kind)                                                                               \
  void __sanitizer_cov_trace_##name(type a, type b) {                                                            \
    if (firedamp_comparing) firedamp_note_number(__builtin_return_address(0), kind, sizeof(type), a, b);         \
  }
CALLBACK(cmp1, uint8_t, FIREDAMP_VARIABLE)
CALLBACK(cmp2, uint16_t, FIREDAMP_VARIABLE)
CALLBACK(cmp4, uint32_t, FIREDAMP_VARIABLE)
CALLBACK(cmp8, uint64_t, FIREDAMP_VARIABLE)
CALLBACK(const_cmp1, uint8_t, FIREDAMP_CONSTANT)
CALLBACK(const_cmp2, uint16_t, FIREDAMP_CONSTANT)
CALLBACK(const_cmp4, uint32_t, FIREDAMP_CONSTANT)
CALLBACK(const_cmp8, uint64_t, FIREDAMP_CONSTANT)

void __sanitizer_cov_trace_switch(uint64_t value, uint64_t *cases) {
  if (firedamp_comparing) firedamp_note_switch(__builtin_return_address(0), value, cases);
}

void __sanitizer_cov_trace_cmpf(float a, float b) {
  uint32_t left, right;
  __builtin_memcpy(&left, &a, sizeof left), __builtin_memcpy(&right, &b, sizeof right);
  if (firedamp_comparing) firedamp_note_number(__builtin_return_address(0), FIREDAMP_FLOATING, sizeof a, left, right);
}

void __sanitizer_cov_trace_cmpd(double a, double b) {
  uint64_t left, right;
  __builtin_memcpy(&left, &a, sizeof left), __builtin_memcpy(&right, &b, sizeof right);
  if (firedamp_comparing) firedamp_note_number(__builtin_return_address(0), FIREDAMP_FLOATING, sizeof a, left, right);
}
