/* What was detected in a fuzzing process, kept outside of it: how often each signature was seen, and whole inputs of
   those that somebody should look at. One writer, the process; one reader, its supervisor (fuzz/events.py has the same
   layout). Little-endian, at offset 0 of a memfd. */
#ifndef FIREDAMP_EVENTS_H
#define FIREDAMP_EVENTS_H

#include <stddef.h>
#include <stdint.h>

#define FIREDAMP_EVENTS_MAGIC 0x3153544e45564546ull /* "FEVENTS1" read as bytes */

enum { FIREDAMP_FRAMES = 3, FIREDAMP_SIGNATURES = 1024, FIREDAMP_SLOTS = 64 };

struct firedamp_signature {
  uint64_t key; /* of all but the last two; 0: free */
  uint32_t kind, detail;
  uint64_t frames[FIREDAMP_FRAMES]; /* offsets in target.so, the innermost first; 0: none */
  uint64_t count;
  uint64_t wanted; /* by the reader: spool the next input as well */
};

enum firedamp_slot_state { FIREDAMP_FREE, FIREDAMP_FILLING, FIREDAMP_FULL };

struct firedamp_slot {
  uint64_t state; /* the reader frees what is full, and between two processes what is half filled */
  uint64_t signature; /* index */
  uint64_t size;
  uint8_t bytes[]; /* `capacity` of them, up to 7 more, and what led here: `past_bytes` of history.h */
};

struct firedamp_events {
  uint64_t magic;    /* the reader's */
  uint64_t capacity; /* the reader's: bytes of an input that a slot holds */
  uint64_t past_bytes; /* the reader's: of a history beside it; a multiple of 8 */
  uint64_t survived; /* detections */
  uint64_t unspooled; /* inputs that should have been looked at and found no free slot */
  uint64_t untabled;  /* detections whose signature found no place in the table */
  uint64_t fatal;     /* 1 + the signature of the detection that ended the process; 0: none */
  uint64_t handled;   /* bit N: signal N has a handler of the target's own */
  uint64_t unrestored; /* bytes of global variables that are too many to be put back after each detection */
  struct firedamp_signature signatures[FIREDAMP_SIGNATURES];
  /* FIREDAMP_SLOTS slots */
};

/* Hidden, for survive.c alone. */
#pragma GCC visibility push(hidden)
int firedamp_map_events(int fd, size_t bytes);
extern struct firedamp_events *firedamp_events;

/* Counts the signature (`detection` without key, count and wanted), spools `input` where that is due, or says that it is
   `fatal`. */
void firedamp_record(const struct firedamp_signature *detection, const uint8_t *input, size_t size, int fatal);
#pragma GCC visibility pop

#endif
