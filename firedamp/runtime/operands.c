/* Writes down what an execution compares. Runs inside of the target's comparisons, so it compares nothing
   by libc's own functions. */
#include "operands.h"

#include "state.h"

enum { MOST_CASES = 64 };

extern const char __ehdr_start[] OURS;

struct firedamp_operands *firedamp_operands STATE;

void firedamp_record_in(struct firedamp_operands *table) {
  firedamp_operands = table;
}

uint8_t firedamp_begin_recording(void) {
  struct firedamp_operands *table = firedamp_operands;
  table->wanted = table->number_count = table->text_count = 0;
  for (size_t i = 0; i < FIREDAMP_PLACES; i++) table->seen[i] = 0;
  return FIREDAMP_RECORDED;
}

static uint32_t firedamp_place(const void *caller) { return (uint32_t)((const char *)caller - __ehdr_start); }

static int firedamp_crowded(uint32_t place) {
  uint8_t *seen = &firedamp_operands->seen[(place * 0x9e3779b1u) >> 20]; /* Knuth's hash, 12 bits of it */
  return *seen >= FIREDAMP_PER_PLACE || !++*seen;
}

static void firedamp_add_number(uint32_t place, uint8_t kind, uint8_t bytes, uint64_t left, uint64_t right) {
  struct firedamp_operands *table = firedamp_operands;
  if (table->number_count >= FIREDAMP_NUMBERS || firedamp_crowded(place)) return;
  table->numbers[table->number_count] = (struct firedamp_number){place, kind, bytes, left, right};
  table->number_count++; /* after the entry: a program may be killed at any moment */
}

void firedamp_note_number(const void *caller, uint8_t kind, uint8_t bytes, uint64_t left, uint64_t right) {
  firedamp_add_number(firedamp_place(caller), kind, bytes, left, right);
}

/* `cases`: how many, how wide in bits, then each. */
void firedamp_note_switch(const void *caller, uint64_t value, const uint64_t *cases) {
  uint64_t count = cases[0] < MOST_CASES ? cases[0] : MOST_CASES;
  for (uint64_t i = 0; i < count; i++)
    firedamp_add_number(firedamp_place(caller) + (uint32_t)i, FIREDAMP_CONSTANT, (uint8_t)(cases[1] / 8), cases[2 + i], value);
}

size_t firedamp_length(const char *text, size_t most) {
  size_t size = 0;
  while (size < most && text[size]) size++;
  return size;
}

static void firedamp_note_text(const void *caller, struct firedamp_text facts, const void *left, const void *right) {
  struct firedamp_operands *table = firedamp_operands;
  uint32_t place = firedamp_place(caller);
  if (table->text_count >= FIREDAMP_TEXTS || firedamp_crowded(place)) return;
  struct firedamp_text *text = &table->texts[table->text_count];
  *text = facts;
  text->place = place;
  for (size_t i = 0; i < facts.sizes[0]; i++) text->bytes[0][i] = ((const uint8_t *)left)[i];
  for (size_t i = 0; i < facts.sizes[1]; i++) text->bytes[1][i] = ((const uint8_t *)right)[i];
  table->text_count++;
}

static uint8_t firedamp_cut(size_t size) { return size < FIREDAMP_TEXT_BYTES ? (uint8_t)size : FIREDAMP_TEXT_BYTES; }

void firedamp_note_memory(const void *caller, const void *left, const void *right, size_t size, int equal) {
  uint8_t cut = firedamp_cut(size);
  firedamp_note_text(caller, (struct firedamp_text){.kind = FIREDAMP_EXACT, .equal = !!equal, .sizes = {cut, cut}}, left, right);
}

void firedamp_note_strings(const void *caller, const char *left, const char *right, size_t most, int equal) {
  size_t cut = firedamp_cut(most);
  uint8_t sizes[] = {(uint8_t)firedamp_length(left, cut), (uint8_t)firedamp_length(right, cut)};
  firedamp_note_text(
    caller, (struct firedamp_text){.kind = FIREDAMP_STRING, .equal = !!equal, .sizes = {sizes[0], sizes[1]}}, left, right);
}

void firedamp_note_search(const void *caller, const void *hay, size_t hay_size, const void *needle, size_t size) {
  firedamp_note_text(
    caller, (struct firedamp_text){.kind = FIREDAMP_SEARCH, .sizes = {firedamp_cut(hay_size), firedamp_cut(size)}}, hay, needle);
}
