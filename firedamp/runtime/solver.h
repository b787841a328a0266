/* Inputs that turn a comparison of the last recorded execution: input-to-state correspondence (Aschermann et al.,
   "REDQUEEN", NDSS 2019). What the target compared is looked for in its input and replaced by the other side. */
#ifndef FIREDAMP_SOLVER_H
#define FIREDAMP_SOLVER_H

#include "operands.h"

enum { FIREDAMP_PATCH_BYTES = FIREDAMP_TEXT_BYTES + 1 }; /* a string with its NUL */

/* `removed` bytes of the input at `at` give way to `size` others. */
struct firedamp_patch {
  uint32_t at, removed;
  uint32_t place;   /* of the comparison; 0: a change of the input's length */
  uint8_t looped;   /* one more byte of a run of equal ones */
  uint8_t computed; /* the other side is no constant and does not stand in the input: a checksum? */
  uint8_t size;
  uint8_t bytes[FIREDAMP_PATCH_BYTES];
};

struct firedamp_input {
  uint8_t *bytes;
  size_t size, room;
};

/* The patches of `input` that the table suggests, at most `most`; `chance` decides which of too many. */
OURS size_t firedamp_solve(const struct firedamp_operands *table, const struct firedamp_input *input,
                           struct firedamp_patch *patches, size_t most, uint32_t chance);

/* The patches for the comparisons at `place` alone whose sides differ. */
OURS size_t firedamp_solve_place(const struct firedamp_operands *table, const struct firedamp_input *input, uint32_t place,
                                 struct firedamp_patch *patches, size_t most, uint32_t chance);

/* The next byte of the longest run of equal bytes at `place` (a loop over a string). Returns 0 or 1 patch. */
OURS size_t firedamp_solve_loop(const struct firedamp_operands *table, const struct firedamp_input *input, uint32_t place,
                                struct firedamp_patch *patch);
OURS size_t firedamp_longest_run(const struct firedamp_operands *table, uint32_t place);

/* 1 when the comparison at `place` was made, and its sides were equal each time. */
OURS int firedamp_holds(const struct firedamp_operands *table, uint32_t place);

/* Returns the size of the patched input, or 0 where `room` is too small. */
OURS size_t firedamp_apply(const struct firedamp_input *input, const struct firedamp_patch *patch, uint8_t *to, size_t room);

#endif
