#include "history.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>

#include "state.h"

static struct firedamp_history *firedamp_past STATE;

__attribute__((visibility("default"))) int firedamp_attach_history(int fd, size_t bytes) {
  if (bytes < sizeof *firedamp_past) return EINVAL;
  struct firedamp_history *past = mmap(0, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  if (past == MAP_FAILED) return errno;
  firedamp_past = past;
  return 0;
}

void firedamp_remember(const uint8_t *data, size_t size) {
  struct firedamp_history *past = firedamp_past;
  if (!past || size > past->capacity) return;
  uint64_t offset = past->position % past->capacity;
  if (offset + size > past->capacity) {
    past->position += past->capacity - offset;
    offset = 0;
  }
  uint64_t slot = past->inputs % FIREDAMP_HISTORY_SLOTS;
  past->slots[slot].position = past->position;
  past->slots[slot].size = size;
  memcpy(past->bytes + offset, data, size);
  past->position += size;
  past->inputs++;
}

void firedamp_forget(void) {
  if (firedamp_past && firedamp_past->inputs) firedamp_past->inputs--;
}

void firedamp_forget_all(void) {
  if (firedamp_past) firedamp_past->inputs = 0;
}

void firedamp_copy_past(uint8_t *to, size_t room) {
  struct firedamp_history *past = firedamp_past;
  if (!past || room < sizeof *past) return;
  size_t used = past->position < past->capacity ? past->position : past->capacity;
  memcpy(to, past, sizeof *past + (used < room - sizeof *past ? used : room - sizeof *past));
}
