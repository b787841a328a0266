/* The mutator that libFuzzer finds in the global scope. It hands most calls on to libFuzzer's own mutations; between them
   it has an input executed with its comparisons recorded and tries what the solver makes of it. Loaded before libFuzzer,
   which looks for these names while it is loaded itself. */
#include <stdlib.h>
#include <string.h>

#include "solver.h"

#define EXPORT __attribute__((visibility("default")))

typedef size_t mutate(uint8_t *data, size_t size, size_t room);
typedef size_t custom_mutate(uint8_t *data, size_t size, size_t room, unsigned seed);
typedef size_t cross_over(
  const uint8_t *one, size_t one_size, const uint8_t *two, size_t two_size, uint8_t *to, size_t room, unsigned seed);

enum {
  MOST_PATCHES = 2048,
  GLANCE = 8,         /* one call in so many looks whether its input is a new one */
  KNOWN_INPUTS = 1 << 16,
  CHECKSUMS = 64,
  SAME = 128,         /* a checksum that came out like that so often is a constant */
  MENDINGS = 4,       /* of one input, one after the other */
  OFTEN = 2, SELDOM = 32, /* one mutant in so many is looked at, for checksums that it has broken */
  HOPE = 4,           /* mutants of an input that may come to no checksum for one that did */
  LONGEST_CHAIN = 64, /* bytes of a string that is compared byte by byte */
  DEPTH = 5,          /* libFuzzer's -mutate_depth: mutations of an input, one upon the other, unless one is news */
  RECENT = 4096,      /* inputs whose worth counts in full */
  EAGER = 2, PATIENT = 8, /* one input in so many is a patch */
};

/* Whose an input is. */
enum maker { NOBODY, LIBFUZZER, SOLVER, MAKERS };

/* What the execution that was asked for is to show. */
enum asked { NOTHING, BASE, PATCHED, CHAINED, MUTANT, MENDED };

static struct {
  mutate *libfuzzers;
  custom_mutate *targets, *users;
  cross_over *targets_cross_over;
  unsigned users_period;
  struct firedamp_operands *operands; /* 0 where nobody writes them */
  uint64_t calls;
  enum asked asked;
  struct firedamp_input base, sent;
  struct firedamp_patch patches[MOST_PATCHES];
  size_t patch_count, patch_next;
  struct firedamp_patch tried; /* the patch in `sent` */
  uint32_t base_numbers, chain, mendings;
  size_t run;
  struct checksum {
    uint32_t place, value; /* the latter by its hash, when it was learnt */
    uint8_t same;          /* how often that one was computed since, while no other was */
  } checksums[CHECKSUMS];
  uint32_t checksum_count, constant_count;
  uint32_t mutants;             /* made since the last one was looked at */
  uint32_t origin, looked_at;   /* whose mutants libFuzzer makes now, and whose was looked at: inputs, by their hash */
  uint8_t hopes[KNOWN_INPUTS];  /* of mutants of these: they come to a checksum */
  uint32_t latest;              /* what was made just before a glance: libFuzzer may go on from there */
  uint8_t picked[KNOWN_INPUTS]; /* how often an input was glanced at, by its hash */
  struct firedamp_input made;   /* the latest input */
  enum maker maker;
  uint32_t depth;
  uint32_t inputs[MAKERS], news[MAKERS];
} state;

static void keep(struct firedamp_input *input, const uint8_t *data, size_t size) {
  if (size > input->room) {
    uint8_t *bytes = realloc(input->bytes, size);
    if (!bytes) return;
    input->bytes = bytes, input->room = size;
  }
  memcpy(input->bytes, data, size);
  input->size = size;
}

static size_t ask(enum asked what, const uint8_t *data, size_t size) {
  keep(&state.sent, data, size);
  state.asked = what;
  state.operands->wanted = 1;
  return size;
}

static uint32_t digest(const uint8_t *data, size_t size) {
  uint64_t hash = 0xcbf29ce484222325ull ^ size; /* FNV-1a's numbers, eight bytes at a time */
  for (; size >= 8; data += 8, size -= 8) {
    uint64_t word;
    memcpy(&word, data, 8);
    hash = (hash ^ word) * 0x100000001b3ull, hash ^= hash >> 29;
  }
  while (size--) hash = (hash ^ *data++) * 0x100000001b3ull;
  return (uint32_t)(hash ^ hash >> 32);
}

/* An input of the corpus is looked at when it is glanced at for the first, the 8th and the 64th time. */
static int is_due(const uint8_t *data, size_t size) {
  uint32_t hash = digest(data, size);
  if (hash == state.latest) return 0;
  uint8_t *count = &state.picked[hash % KNOWN_INPUTS];
  *count += *count != UINT8_MAX;
  return *count == 1 || *count == 8 || *count == 64;
}

static struct checksum *checksum_at(uint32_t place) {
  for (uint32_t i = 0; i < state.checksum_count; i++)
    if (state.checksums[i].place == place) return &state.checksums[i];
  return 0;
}

static int is_checksum(uint32_t place) {
  struct checksum *found = checksum_at(place);
  return found && found->same != SAME;
}

static int has_checksums(void) { return state.checksum_count != state.constant_count; }

static uint32_t value_of(const struct firedamp_patch *patch) { return digest(patch->bytes, patch->size); }

/* What a target compares memory with may be a constant, and what is right once is right for good. */
static void doubt(struct checksum *one, const struct firedamp_patch *mended) {
  if (value_of(mended) != one->value) one->value = one->same = 0;
  else if (one->value && ++one->same == SAME) state.constant_count++;
}

static size_t send(enum asked what, const struct firedamp_input *from, const struct firedamp_patch *patch, uint8_t *data, size_t room) {
  size_t size = firedamp_apply(from, patch, data, room);
  if (!size) return 0;
  state.tried = *patch;
  int telling = patch->computed || patch->looped || has_checksums();
  return telling ? ask(what, data, size) : size;
}

static int meets_checksum(void) {
  for (uint32_t i = 0; i < state.operands->number_count; i++)
    if (is_checksum(state.operands->numbers[i].place)) return 1;
  for (uint32_t i = 0; i < state.operands->text_count; i++)
    if (is_checksum(state.operands->texts[i].place)) return 1;
  return 0;
}

static uint8_t *hope(uint32_t input) { return &state.hopes[input % KNOWN_INPUTS]; }

/* To look costs time, and is of use where mutants come as far as a checksum: those of some inputs do. */
static void learn_hope(void) {
  uint8_t *known = hope(state.looked_at);
  *known = meets_checksum() ? HOPE : *known - (*known != 0);
}

static int is_mutant_due(void) {
  if (!has_checksums() || ++state.mutants < (*hope(state.origin) ? OFTEN : SELDOM)) return 0;
  state.mutants = 0, state.looked_at = state.origin;
  return 1;
}

/* The target went wrong at a checksum that it had passed before: write there what it computed. */
static size_t mend(uint8_t *data, size_t room, uint32_t chance) {
  struct firedamp_patch patches[2 * MENDINGS];
  if (state.mendings >= MENDINGS) return 0;
  for (uint32_t i = 0; i < state.checksum_count; i++) {
    struct checksum *one = &state.checksums[i];
    if (one->same == SAME || (one->place == state.tried.place && state.asked == MENDED)) continue;
    size_t count = firedamp_solve_place(state.operands, &state.sent, one->place, patches, 2 * MENDINGS, chance);
    for (size_t k = 0; k < count; k++)
      if (patches[k].computed) {
        state.mendings++;
        doubt(one, &patches[k]);
        return send(MENDED, &state.sent, &patches[k], data, room);
      }
  }
  return 0;
}

static size_t lengthen(uint8_t *data, size_t room) {
  struct firedamp_patch patch;
  uint32_t place = state.tried.place;
  size_t run = firedamp_longest_run(state.operands, place);
  if (run <= state.run || state.chain++ >= LONGEST_CHAIN) return 0;
  state.run = run;
  return firedamp_solve_loop(state.operands, &state.sent, place, &patch) ? send(CHAINED, &state.sent, &patch, data, room) : 0;
}

/* Not of a single byte: mutations soon meet such a checksum, and such a value is soon met by chance. */
static void learn_checksum(void) {
  int wide = state.tried.computed && state.tried.size > 1;
  int passed = wide && state.tried.place && firedamp_holds(state.operands, state.tried.place);
  int further = state.operands->number_count + state.operands->text_count > state.base_numbers;
  if (passed && further && !checksum_at(state.tried.place) && state.checksum_count < CHECKSUMS)
    state.checksums[state.checksum_count++] = (struct checksum){.place = state.tried.place, .value = value_of(&state.tried)};
}

/* The input that was asked for has been executed: what follows from its comparisons? 0: nothing. */
static size_t follow(uint8_t *data, size_t room, uint32_t chance) {
  enum asked asked = state.asked;
  size_t size = 0;
  if (asked == NOTHING || state.operands->wanted) { /* not executed, for whatever reason */
    state.asked = NOTHING;
    return 0;
  }
  if (asked == BASE) {
    keep(&state.base, state.sent.bytes, state.sent.size);
    state.base_numbers = state.operands->number_count + state.operands->text_count;
    state.patch_count = firedamp_solve(state.operands, &state.base, state.patches, MOST_PATCHES, chance);
    state.patch_next = 0;
  } else {
    if (asked == PATCHED) learn_checksum(), state.mendings = 0, state.chain = 0, state.run = 0;
    if (asked == MUTANT) state.mendings = 0, learn_hope();
    if (asked == PATCHED || asked == CHAINED) size = lengthen(data, room);
    if (!size && has_checksums()) size = mend(data, room, chance);
  }
  if (!size) state.asked = NOTHING;
  return size;
}

static size_t try_patch(uint8_t *data, size_t room) {
  while (state.patch_next < state.patch_count) {
    size_t size = send(PATCHED, &state.base, &state.patches[state.patch_next++], data, room);
    if (size) return size;
  }
  return 0;
}

/* libFuzzer mutates what it was given last until it has done so DEPTH times or that was news (MutateAndTestOne of
   FuzzerLoop.cpp). So it tells, by what it gives now. */
static void learn_worth(const uint8_t *data, size_t size) {
  int again = size == state.made.size && !memcmp(data, state.made.bytes, size);
  if (state.depth) {
    state.inputs[state.maker]++;
    state.news[state.maker] += !again && state.depth < DEPTH;
  }
  if (state.inputs[state.maker] > RECENT) state.inputs[state.maker] /= 2, state.news[state.maker] /= 2;
  state.depth = again && state.depth < DEPTH ? state.depth + 1 : 1;
  if (state.depth == 1 && has_checksums()) state.origin = digest(data, size);
}

/* A parser's comparisons make thousands of patches. Where mutations bring more that is new, they come first. */
static uint32_t patch_period(void) {
  uint64_t patches = (uint64_t)state.news[SOLVER] * (state.inputs[LIBFUZZER] + 1);
  uint64_t mutations = (uint64_t)state.news[LIBFUZZER] * (state.inputs[SOLVER] + 1);
  return patches < mutations ? PATIENT : EAGER;
}

static size_t solve(uint8_t *data, size_t size, size_t room, unsigned seed) {
  size_t made = follow(data, room, seed);
  if (!made && state.calls % patch_period() == 1) made = try_patch(data, room);
  if (made) {
    state.maker = SOLVER;
    return made;
  }
  if (state.patch_next == state.patch_count && state.calls % GLANCE == 0 && is_due(data, size)) return ask(BASE, data, size);
  state.maker = LIBFUZZER;
  made = state.libfuzzers(data, size, room);
  if (is_mutant_due()) ask(MUTANT, data, made);
  if (state.calls % GLANCE == GLANCE - 1) state.latest = digest(data, made);
  return made;
}

EXPORT size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t room, unsigned seed) {
  size_t made = 0;
  state.calls++;
  learn_worth(data, size);
  state.maker = NOBODY;
  if (state.users && state.calls % state.users_period == 0) made = state.users(data, size, room, seed);
  if (!made && state.targets) return state.targets(data, size, room, seed);
  if (!made) made = state.operands ? solve(data, size, room, seed) : state.libfuzzers(data, size, room);
  keep(&state.made, data, made);
  return made;
}

#ifdef FIREDAMP_CROSS_OVER /* only where the target has one: libFuzzer would use it for every other mutation */
EXPORT size_t LLVMFuzzerCustomCrossOver(
  const uint8_t *one, size_t one_size, const uint8_t *two, size_t two_size, uint8_t *to, size_t room, unsigned seed) {
  return state.targets_cross_over(one, one_size, two, two_size, to, room, seed);
}
#endif

/* Before the first call. `custom` and `cross` are the target's own, or 0. */
EXPORT void firedamp_mutate(mutate *libfuzzers, custom_mutate *custom, cross_over *cross) {
  state.libfuzzers = libfuzzers, state.targets = custom, state.targets_cross_over = cross;
}

EXPORT size_t firedamp_operand_bytes(void) { return sizeof(struct firedamp_operands); }

/* Where the target is to record: `shared`, or memory of this process. */
EXPORT struct firedamp_operands *firedamp_operand_table(struct firedamp_operands *shared) {
  static struct firedamp_operands table;
  return state.operands = shared ? shared : &table;
}

/* One mutation in `period` is the user's. */
EXPORT void firedamp_mutate_by(custom_mutate *users, unsigned period) {
  state.users = users, state.users_period = period;
}
