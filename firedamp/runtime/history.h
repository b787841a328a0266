/* The latest inputs of one life, oldest first: what a crash that depends on state was led to by. Little-endian, at
   offset 0 of a memfd that outlives the child. Positions only grow; a byte lies at its position modulo `capacity`.
   No input is split: what does not fit before the end of the ring begins at its start. */
#ifndef FIREDAMP_HISTORY_H
#define FIREDAMP_HISTORY_H

#include <stddef.h>
#include <stdint.h>

#define FIREDAMP_HISTORY_SLOTS 1024 /* inputs: 16 KiB of slots stay in the first cache */

struct firedamp_history {
  uint64_t inputs;   /* remembered since the life began; the latest is in slot (inputs - 1) % SLOTS */
  uint64_t position; /* where the next input may begin */
  uint64_t capacity; /* of `bytes`; 0: nothing is remembered */
  struct {
    uint64_t position, size;
  } slots[FIREDAMP_HISTORY_SLOTS];
  uint8_t bytes[];
};

/* Maps the memfd of `bytes` bytes. Returns 0, or an errno. Without it nothing is remembered. */
int firedamp_attach_history(int fd, size_t bytes);

/* Before each execution. */
void firedamp_remember(const uint8_t *data, size_t size);

/* Ours alone: the latest input is not part of what led to anything, since the target did not return from it. */
__attribute__((visibility("hidden"))) void firedamp_forget(void);

/* The target's variables are as at the start of the life: nothing led to what comes now. */
__attribute__((visibility("hidden"))) void firedamp_forget_all(void);

/* Copies the block, as far as it is used, to `room` bytes. */
__attribute__((visibility("hidden"))) void firedamp_copy_past(uint8_t *to, size_t room);

#endif
