#define _GNU_SOURCE
#include "solver.h"

#include <stdio.h>
#include <string.h>

/* Where a pattern stands more often than this in the input, some of the places are tried. */
enum { MOST_WIDE = 32, MOST_PAIRS = 16, MOST_BYTES = 4, MOST_TEXTS = 8 };
enum { NEAR = 16 /* from the operand: x + 1 == constant, size - header == constant */, DIGITS = 24 };

/* How often the two sides of a comparison may be tried; from then on one time in RARELY. A parser makes the same few
   hundred comparisons on each input: without this they would take half of all executions for ever. */
enum { BYTE_TRIES = 8, TRIES = 64, PLACE_TRIES = 255, RARELY = 32, PAIRS = 1 << 16 };
static uint8_t firedamp_tries[PAIRS];

enum { SEEN = 1 << 10 }; /* pairs of this input, by their hash: loops compare the same again */

struct search {
  const struct firedamp_input *input;
  struct firedamp_patch *patches;
  size_t count, most;
  uint32_t chance, place;
  uint8_t computed, urgent, looped;
  uint32_t seen[SEEN];
};

static uint32_t firedamp_draw(struct search *search, uint32_t below) {
  search->chance = search->chance * 1664525u + 1013904223u; /* Numerical Recipes' generator */
  return (uint32_t)(((uint64_t)search->chance * below) >> 32);
}

static uint32_t firedamp_mix(uint64_t value) {
  value = (value ^ value >> 32) * 0x9e3779b97f4a7c15ull; /* 2^64 over the golden ratio */
  return (uint32_t)(value >> 32);
}

/* Whether this is the first time in this input. */
static int firedamp_is_new(struct search *search, uint32_t hash) {
  uint32_t *seen = &search->seen[hash % SEEN];
  int new = *seen != (hash | 1);
  *seen = hash | 1;
  return new;
}

static int firedamp_is_due(struct search *search, uint32_t hash, uint8_t tries) {
  uint8_t *tried = &firedamp_tries[hash % PAIRS];
  if (search->urgent) return 1;
  if (*tried >= tries) return firedamp_draw(search, RARELY) == 0;
  ++*tried;
  return 1;
}

static int firedamp_alike(const struct firedamp_patch *a, const struct firedamp_patch *b) {
  return a->at == b->at && a->removed == b->removed && a->size == b->size && !memcmp(a->bytes, b->bytes, a->size);
}

/* Twins come one after the other: a loop compares the same again. */
static void firedamp_suggest(struct search *search, size_t at, size_t removed, const void *bytes, size_t size) {
  if (search->count == search->most || at + removed > search->input->size) return;
  struct firedamp_patch *patch = &search->patches[search->count];
  patch->at = (uint32_t)at, patch->removed = (uint32_t)removed, patch->size = (uint8_t)size;
  patch->place = search->place, patch->computed = search->computed, patch->looped = search->looped;
  memcpy(patch->bytes, bytes, size);
  if (removed == size && !memcmp(search->input->bytes + at, bytes, size)) return;
  for (size_t i = search->count; i && i + 64 > search->count; i--)
    if (firedamp_alike(patch, &search->patches[i - 1])) return;
  search->count++;
}

static void firedamp_spell(uint8_t *to, uint64_t value, size_t bytes, int big) {
  for (size_t i = 0; i < bytes; i++) to[big ? bytes - 1 - i : i] = (uint8_t)(value >> (8 * i));
}

static uint64_t firedamp_read(const uint8_t *from, size_t bytes, int big) {
  uint64_t value = 0;
  for (size_t i = 0; i < bytes; i++) value |= (uint64_t)from[big ? bytes - 1 - i : i] << (8 * i);
  return value;
}

static int firedamp_same_letter(uint8_t a, uint8_t b) {
  uint8_t lower = a | 32;
  return a == b || ((a ^ b) == 32 && lower >= 'a' && lower <= 'z');
}

static const uint8_t *firedamp_next(const uint8_t *from, size_t size, const uint8_t *pattern, size_t pattern_size, int letters) {
  if (!letters) return memmem(from, size, pattern, pattern_size);
  for (; size >= pattern_size; from++, size--) {
    size_t k = 0;
    while (k < pattern_size && firedamp_same_letter(from[k], pattern[k])) k++;
    if (k == pattern_size) return from;
  }
  return 0;
}

/* Places where `pattern` stands in the input, at most `most`, from a drawn start on. */
static size_t firedamp_find(struct search *search, const uint8_t *pattern, size_t size, int letters, size_t *found, size_t most) {
  const struct firedamp_input *input = search->input;
  if (!size || size > input->size) return 0;
  size_t count = 0, start = input->size > most ? firedamp_draw(search, (uint32_t)input->size) : 0;
  for (int half = 0; half < 2; half++) {
    size_t at = half ? 0 : start;
    const uint8_t *hit;
    while (count < most && (hit = firedamp_next(input->bytes + at, input->size - at, pattern, size, letters))) {
      size_t place = (size_t)(hit - input->bytes);
      if (half && place >= start) break;
      found[count++] = place;
      at = place + 1;
    }
  }
  return count;
}

static uint64_t firedamp_mask(size_t bytes) { return bytes == 8 ? UINT64_MAX : (1ull << (8 * bytes)) - 1; }

/* Whether `value` of `bytes` is what reading `width` bytes gives, with zeros or its sign before it. */
static int firedamp_fits(uint64_t value, size_t bytes, size_t width) {
  if (width >= bytes) return width == bytes;
  uint64_t high = firedamp_mask(bytes) & ~firedamp_mask(width);
  return !(value & high) || ((value & high) == high && value >> (8 * width - 1) & 1);
}

static void firedamp_replace_number(struct search *search, size_t at, uint64_t to, size_t width, int big, int around) {
  static const int8_t steps[] = {0, 1, -1};
  for (size_t i = 0; i < (around ? sizeof steps : 1); i++) {
    uint8_t bytes[8];
    firedamp_spell(bytes, to + (uint64_t)(int64_t)steps[i], width, big);
    firedamp_suggest(search, at, width, bytes, width);
  }
}

/* Returns whether `from` stands in the input. */
static int firedamp_binary(struct search *search, uint64_t from, uint64_t to, size_t bytes, int constant) {
  int any = 0;
  for (size_t width = bytes; width; width /= 2) {
    if (!firedamp_fits(from, bytes, width) || !firedamp_fits(to, bytes, width)) continue;
    if (width == 1 && bytes == 1 && constant) continue; /* mutations of one byte find these soon */
    size_t most = width == 1 ? (constant ? MOST_BYTES : MOST_PAIRS) : width == 2 ? MOST_PAIRS : MOST_WIDE;
    for (int big = 0; big < (width > 1 ? 2 : 1); big++) {
      uint8_t pattern[8];
      size_t found[MOST_WIDE];
      firedamp_spell(pattern, from, width, big);
      size_t count = firedamp_find(search, pattern, width, 0, found, most);
      for (size_t i = 0; i < count; i++) firedamp_replace_number(search, found[i], to, width, big, width > 1);
      any |= count && width > 1;
    }
  }
  return any;
}

/* x + small == to */
static void firedamp_near(struct search *search, uint64_t from, uint64_t to, size_t width) {
  const struct firedamp_input *input = search->input;
  uint64_t mask = firedamp_mask(width);
  size_t left = MOST_WIDE;
  for (size_t at = 0; width <= input->size && at <= input->size - width && left; at++)
    for (int big = 0; big < 2; big++) {
      uint64_t value = firedamp_read(input->bytes + at, width, big), distance = (from - value) & mask;
      if (distance > NEAR && distance < ((0 - (uint64_t)NEAR) & mask)) continue;
      firedamp_replace_number(search, at, to - distance, width, big, 0);
      left--;
    }
}

static int64_t firedamp_signed(uint64_t value, size_t bytes) {
  uint64_t sign = 1ull << (8 * bytes - 1);
  return (int64_t)(((value & firedamp_mask(bytes)) ^ sign) - sign);
}

/* A parser that finds no digits says 0. */
static void firedamp_write_first(struct search *search, uint64_t to) {
  char digits[DIGITS];
  int length = snprintf(digits, sizeof digits, "%ld", (int64_t)to);
  firedamp_suggest(search, 0, 0, digits, (size_t)length);
  firedamp_suggest(search, firedamp_draw(search, (uint32_t)search->input->size), 0, digits, (size_t)length);
}

static void firedamp_written(struct search *search, const char *format, uint64_t from, uint64_t to) {
  char pattern[DIGITS], digits[DIGITS];
  size_t found[MOST_TEXTS];
  int size = snprintf(pattern, sizeof pattern, format, from);
  size_t count = firedamp_find(search, (uint8_t *)pattern, (size_t)size, 1, found, size > 1 ? MOST_TEXTS : MOST_BYTES);
  for (size_t i = 0; i < count; i++)
    for (int step = -1; step <= 1; step++) {
      int length = snprintf(digits, sizeof digits, format, to + (uint64_t)(int64_t)step);
      firedamp_suggest(search, found[i], (size_t)size, digits, (size_t)length);
    }
}

/* The operand is the input's length, or that without a short head. */
static void firedamp_resize(struct search *search, uint64_t from, uint64_t to) {
  static const uint8_t filling[FIREDAMP_TEXT_BYTES];
  size_t size = search->input->size;
  if (from > size || size - from > NEAR || to == from) return;
  uint32_t place = search->place;
  search->place = 0;
  for (int step = to ? -1 : 0; step <= 1; step++) {
    uint64_t wished = to + (uint64_t)(int64_t)step + (size - from);
    if (wished && wished < size) firedamp_suggest(search, wished, size - wished, filling, 0);
    if (wished > size && wished - size <= sizeof filling) firedamp_suggest(search, size, 0, filling, wished - size);
  }
  search->place = place;
}

static void firedamp_floating(struct search *search, uint64_t from, uint64_t to, size_t bytes) {
  firedamp_binary(search, from, to, bytes, 0);
  if (bytes != 8) return;
  double wide_from, wide_to;
  memcpy(&wide_from, &from, 8), memcpy(&wide_to, &to, 8);
  float narrow_from = (float)wide_from, narrow_to = (float)wide_to;
  uint32_t bits_from, bits_to;
  memcpy(&bits_from, &narrow_from, 4), memcpy(&bits_to, &narrow_to, 4);
  firedamp_binary(search, bits_from, bits_to, 4, 0);
  if (wide_from > -9e18 && wide_from < 9e18 && wide_to > -9e18 && wide_to < 9e18) /* int64_t */
    firedamp_binary(search, (uint64_t)(int64_t)wide_from, (uint64_t)(int64_t)wide_to, 8, 1);
}

static void firedamp_turn(struct search *search, const struct firedamp_number *number, uint64_t from, uint64_t to) {
  size_t bytes = number->bytes;
  int constant = number->kind == FIREDAMP_CONSTANT;
  search->place = number->place, search->computed = 0;
  if (number->kind == FIREDAMP_FLOATING) {
    firedamp_floating(search, from, to, bytes);
    return;
  }
  if (!constant) {
    uint8_t pattern[8];
    size_t place;
    firedamp_spell(pattern, to, bytes, 0);
    search->computed = !firedamp_find(search, pattern, bytes, 0, &place, 1);
  }
  int found = firedamp_binary(search, from, to, bytes, constant);
  search->computed = 0;
  if (bytes > 1 && constant) firedamp_resize(search, from, to);
  if (bytes < 4 || (from < 10 && to < 256)) return;
  firedamp_written(search, "%lu", from, to);
  if (firedamp_signed(from, bytes) < 0 || firedamp_signed(to, bytes) < 0)
    firedamp_written(search, "%ld", (uint64_t)firedamp_signed(from, bytes), (uint64_t)firedamp_signed(to, bytes));
  if (from > 9) firedamp_written(search, "%lx", from, to);
  if (!from && constant) firedamp_write_first(search, (uint64_t)firedamp_signed(to, bytes));
  if (!found && from > 255) firedamp_near(search, from, to, bytes);
}

static void firedamp_solve_number(struct search *search, const struct firedamp_number *number) {
  int small = number->left < 256 && number->right < 256, constant = number->kind == FIREDAMP_CONSTANT;
  uint32_t pair = firedamp_mix(firedamp_mix(number->left) ^ number->right) ^ number->place;
  if (number->left == number->right || !firedamp_is_new(search, pair)) return;
  uint32_t known = firedamp_mix((constant ? number->left : 0) ^ (uint64_t)number->place << 32);
  if (!firedamp_is_due(search, known, small ? BYTE_TRIES : constant ? TRIES : PLACE_TRIES)) return;
  if (number->kind != FIREDAMP_CONSTANT) firedamp_turn(search, number, number->left, number->right);
  firedamp_turn(search, number, number->right, number->left);
}

/* A word gives way to another: over what stands there, or in its stead. */
static void firedamp_reword(struct search *search, size_t at, size_t size, const uint8_t *to, size_t to_size, int string) {
  uint8_t ended[FIREDAMP_PATCH_BYTES] = {0};
  size_t rest = search->input->size - at;
  memcpy(ended, to, to_size);
  firedamp_suggest(search, at, to_size < rest ? to_size : rest, to, to_size);
  if (size != to_size) firedamp_suggest(search, at, size, to, to_size);
  if (string) firedamp_suggest(search, at, to_size + 1 < rest ? to_size + 1 : rest, ended, to_size + 1);
}

static uint32_t firedamp_words_hash(const struct firedamp_text *text, int side) {
  uint32_t hash = text->place;
  for (size_t i = 0; i < text->sizes[side]; i++) hash = firedamp_mix((uint64_t)hash << 8 | text->bytes[side][i]);
  return hash;
}

static void firedamp_solve_text(struct search *search, const struct firedamp_text *text) {
  uint32_t left = firedamp_words_hash(text, 0), right = firedamp_words_hash(text, 1);
  if (text->equal || !firedamp_is_new(search, left ^ right * 31)) return;
  if (!firedamp_is_due(search, left, PLACE_TRIES) || !firedamp_is_due(search, right, PLACE_TRIES)) return;
  search->place = text->place;
  for (int side = 0; side < (text->kind == FIREDAMP_SEARCH ? 1 : 2); side++) {
    const uint8_t *from = text->bytes[side], *to = text->bytes[!side];
    size_t size = text->sizes[side], to_size = text->sizes[!side], found[MOST_TEXTS], other;
    search->computed = text->kind == FIREDAMP_EXACT && size >= 4 && !firedamp_find(search, to, to_size, 0, &other, 1);
    size_t count = firedamp_find(search, from, size, text->kind != FIREDAMP_EXACT, found, MOST_TEXTS);
    for (size_t i = 0; i < count; i++) {
      if (text->kind == FIREDAMP_SEARCH) firedamp_suggest(search, found[i], 0, to, to_size);
      firedamp_reword(search, found[i], text->kind == FIREDAMP_SEARCH ? to_size : size, to, to_size, text->kind == FIREDAMP_STRING);
    }
    search->computed = 0;
    if (!size && to_size) {
      firedamp_suggest(search, 0, 0, to, to_size);
      firedamp_suggest(search, firedamp_draw(search, (uint32_t)search->input->size), 0, to, to_size);
    }
  }
}

static int firedamp_byte_sized(const struct firedamp_number *number) {
  return number->kind == FIREDAMP_VARIABLE && number->left < 256 && number->right < 256;
}

/* The longest run of equal pairs at `place`, with the pair that ended it. */
static size_t firedamp_run(const struct firedamp_operands *table, uint32_t place, uint8_t bytes[2][FIREDAMP_PER_PLACE]) {
  size_t best = 0, size = 0;
  uint8_t run[2][FIREDAMP_PER_PLACE];
  for (uint32_t i = 0; i < table->number_count; i++) {
    const struct firedamp_number *number = &table->numbers[i];
    if (number->place != place || !firedamp_byte_sized(number) || size == FIREDAMP_PER_PLACE) continue;
    run[0][size] = (uint8_t)number->left, run[1][size] = (uint8_t)number->right, size++;
    if (number->left == number->right) continue;
    if (size > best) memcpy(bytes[0], run[0], size), memcpy(bytes[1], run[1], size), best = size;
    size = 0;
  }
  return best;
}

size_t firedamp_longest_run(const struct firedamp_operands *table, uint32_t place) {
  uint8_t bytes[2][FIREDAMP_PER_PLACE];
  return firedamp_run(table, place, bytes);
}

static void firedamp_extend_run(struct search *search, const struct firedamp_operands *table, uint32_t place) {
  uint8_t bytes[2][FIREDAMP_PER_PLACE];
  size_t size = firedamp_run(table, place, bytes), found[MOST_BYTES];
  if (size < 2) return; /* one byte alone stands everywhere */
  search->place = place, search->computed = 0, search->looped = 1;
  for (int side = 0; side < 2; side++) {
    size_t count = firedamp_find(search, bytes[side], size, 0, found, MOST_BYTES);
    for (size_t i = 0; i < count; i++) firedamp_suggest(search, found[i] + size - 1, 1, &bytes[!side][size - 1], 1);
  }
  search->looped = 0;
}

size_t firedamp_solve_loop(const struct firedamp_operands *table, const struct firedamp_input *input, uint32_t place,
                           struct firedamp_patch *patch) {
  struct search search = {.input = input, .patches = patch, .most = 1};
  firedamp_extend_run(&search, table, place);
  return search.count;
}

static int firedamp_first_at_place(const struct firedamp_operands *table, uint32_t index) {
  for (uint32_t i = index; i && i + FIREDAMP_PER_PLACE > index; i--)
    if (table->numbers[i - 1].place == table->numbers[index].place) return 0;
  return 1;
}

size_t firedamp_solve(const struct firedamp_operands *table, const struct firedamp_input *input, struct firedamp_patch *patches,
                      size_t most, uint32_t chance) {
  struct search search = {.input = input, .patches = patches, .most = most, .chance = chance};
  for (uint32_t i = 0; i < table->text_count; i++) firedamp_solve_text(&search, &table->texts[i]);
  for (uint32_t i = 0; i < table->number_count; i++) {
    if (firedamp_byte_sized(&table->numbers[i]) && firedamp_first_at_place(table, i) &&
        firedamp_is_due(&search, firedamp_mix(table->numbers[i].place), TRIES))
      firedamp_extend_run(&search, table, table->numbers[i].place);
    firedamp_solve_number(&search, &table->numbers[i]);
  }
  return search.count;
}

size_t firedamp_solve_place(const struct firedamp_operands *table, const struct firedamp_input *input, uint32_t place,
                            struct firedamp_patch *patches, size_t most, uint32_t chance) {
  struct search search = {.input = input, .patches = patches, .most = most, .chance = chance, .urgent = 1};
  for (uint32_t i = 0; i < table->text_count; i++)
    if (table->texts[i].place == place) firedamp_solve_text(&search, &table->texts[i]);
  for (uint32_t i = 0; i < table->number_count; i++)
    if (table->numbers[i].place == place) firedamp_solve_number(&search, &table->numbers[i]);
  return search.count;
}

int firedamp_holds(const struct firedamp_operands *table, uint32_t place) {
  int made = 0;
  for (uint32_t i = 0; i < table->text_count; i++) {
    if (table->texts[i].place != place) continue;
    if (!table->texts[i].equal) return 0;
    made = 1;
  }
  for (uint32_t i = 0; i < table->number_count; i++) {
    if (table->numbers[i].place != place) continue;
    if (table->numbers[i].left != table->numbers[i].right) return 0;
    made = 1;
  }
  return made;
}

size_t firedamp_apply(const struct firedamp_input *input, const struct firedamp_patch *patch, uint8_t *to, size_t room) {
  size_t size = input->size - patch->removed + patch->size;
  if (!size || size > room) return 0;
  size_t rest = patch->at + patch->removed;
  memmove(to, input->bytes, patch->at);
  memcpy(to + patch->at, patch->bytes, patch->size);
  memmove(to + patch->at + patch->size, input->bytes + rest, input->size - rest);
  return size;
}
