/* The operands of one execution's comparisons: operands.c writes them inside the target, solver.c reads them beside
   libFuzzer. Shared memory where these are two processes, so no pointers. */
#ifndef FIREDAMP_OPERANDS_H
#define FIREDAMP_OPERANDS_H

#include <stddef.h>
#include <stdint.h>

enum {
  FIREDAMP_NUMBERS = 4096,
  FIREDAMP_TEXTS = 256,
  FIREDAMP_TEXT_BYTES = 64,   /* of a longer one, the first; libFuzzer's words are as long (Word::kMaxSize) */
  FIREDAMP_PER_PLACE = 64,    /* a loop must not fill the table */
  FIREDAMP_PLACES = 1 << 12,  /* counted apart */
  FIREDAMP_REPORTED = 1,      /* bits of firedamp_comparing: to libFuzzer */
  FIREDAMP_RECORDED = 2,      /* here */
};

enum firedamp_number_kind { FIREDAMP_VARIABLE, FIREDAMP_CONSTANT /* `left` is */, FIREDAMP_FLOATING };
enum firedamp_text_kind { FIREDAMP_EXACT /* memory of one size */, FIREDAMP_STRING, FIREDAMP_SEARCH /* right in left */ };

struct firedamp_number {
  uint32_t place; /* of the call in the target's file, so that it is the same in each process */
  uint8_t kind;
  uint8_t bytes;
  uint64_t left, right;
};

struct firedamp_text {
  uint32_t place;
  uint8_t kind;
  uint8_t equal;
  uint8_t sizes[2];
  uint8_t bytes[2][FIREDAMP_TEXT_BYTES];
};

struct firedamp_operands {
  uint32_t wanted; /* the next execution is to be recorded; it takes the wish back */
  uint32_t number_count, text_count;
  struct firedamp_number numbers[FIREDAMP_NUMBERS];
  struct firedamp_text texts[FIREDAMP_TEXTS];
  uint8_t seen[FIREDAMP_PLACES];
};

#define OURS __attribute__((visibility("hidden")))
extern OURS struct firedamp_operands *firedamp_operands; /* 0 where nobody asks */

/* `table` is the solver's. */
__attribute__((visibility("default"))) void firedamp_record_in(struct firedamp_operands *table);

/* FIREDAMP_RECORDED when this execution is wanted; the table is empty then. */
OURS uint8_t firedamp_begin_recording(void);
static inline uint8_t firedamp_recording(void) {
  return firedamp_operands && __builtin_expect(firedamp_operands->wanted, 0) ? firedamp_begin_recording() : 0;
}

OURS void firedamp_note_number(const void *caller, uint8_t kind, uint8_t bytes, uint64_t left, uint64_t right);
OURS void firedamp_note_switch(const void *caller, uint64_t value, const uint64_t *cases);
OURS void firedamp_note_memory(const void *caller, const void *left, const void *right, size_t size, int equal);
OURS void firedamp_note_strings(const void *caller, const char *left, const char *right, size_t most, int equal);
OURS void firedamp_note_search(const void *caller, const void *hay, size_t hay_size, const void *needle, size_t size);
OURS size_t firedamp_length(const char *text, size_t most);

#endif
