/* The writer's side of events.h. Called in a process that has just been hit: no allocation, no lock, no libc state. */
#include "events.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>

#include "history.h"
#include "state.h"

struct firedamp_events *firedamp_events STATE;
static size_t firedamp_capacity STATE, firedamp_past_bytes STATE;

static size_t firedamp_past_offset(void) { return (sizeof(struct firedamp_slot) + firedamp_capacity + 7) & ~(size_t)7; }
static size_t firedamp_stride(void) { return firedamp_past_offset() + firedamp_past_bytes; }

int firedamp_map_events(int fd, size_t bytes) {
  if (bytes < sizeof *firedamp_events) return EINVAL;
  struct firedamp_events *events = mmap(0, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  if (events == MAP_FAILED) return errno;
  firedamp_capacity = events->capacity;
  firedamp_past_bytes = events->past_bytes;
  if (events->magic != FIREDAMP_EVENTS_MAGIC || bytes < sizeof *events + FIREDAMP_SLOTS * firedamp_stride())
    return EINVAL;
  firedamp_events = events;
  return 0;
}

/* FNV-1a over the words that make a signature. */
static uint64_t firedamp_key(const struct firedamp_signature *one) {
  uint64_t hash = 0xcbf29ce484222325ull ^ one->kind;
  hash = hash * 0x100000001b3ull ^ one->detail;
  for (int i = 0; i < FIREDAMP_FRAMES; i++) hash = (hash ^ one->frames[i]) * 0x100000001b3ull ^ hash >> 29;
  return hash ? hash : 1;
}

static struct firedamp_signature *firedamp_find(const struct firedamp_signature *one) {
  uint64_t key = firedamp_key(one);
  for (unsigned probe = 0; probe < FIREDAMP_SIGNATURES; probe++) {
    struct firedamp_signature *entry = &firedamp_events->signatures[(key + probe) % FIREDAMP_SIGNATURES];
    if (entry->key == key) return entry;
    if (entry->key) continue;
    *entry = *one;
    entry->count = entry->wanted = 0;
    __atomic_store_n(&entry->key, key, __ATOMIC_RELEASE);
    return entry;
  }
  return 0;
}

static int firedamp_spool(uint64_t signature, const uint8_t *input, size_t size) {
  uint8_t *slots = (uint8_t *)(firedamp_events + 1);
  for (int i = 0; i < FIREDAMP_SLOTS; i++) {
    struct firedamp_slot *slot = (struct firedamp_slot *)(slots + i * firedamp_stride());
    if (__atomic_load_n(&slot->state, __ATOMIC_ACQUIRE) != FIREDAMP_FREE) continue;
    slot->signature = signature;
    __atomic_store_n(&slot->state, FIREDAMP_FILLING, __ATOMIC_RELEASE);
    slot->size = size < firedamp_capacity ? size : firedamp_capacity;
    memcpy(slot->bytes, input, slot->size);
    firedamp_copy_past((uint8_t *)slot + firedamp_past_offset(), firedamp_past_bytes);
    __atomic_store_n(&slot->state, FIREDAMP_FULL, __ATOMIC_RELEASE);
    return 1;
  }
  return 0;
}

/* The 1st, 8th, 64th, 512th ...: another bug may hide behind the same place, and shows in few of its inputs. */
static int firedamp_due(uint64_t count) { return !(count & (count - 1)) && __builtin_ctzll(count) % 3 == 0; }

void firedamp_record(const struct firedamp_signature *detection, const uint8_t *input, size_t size, int fatal) {
  struct firedamp_signature *entry = firedamp_find(detection);
  firedamp_events->survived += !fatal;
  firedamp_events->untabled += !entry;
  if (!entry) return;
  uint64_t index = (uint64_t)(entry - firedamp_events->signatures);
  int due = firedamp_due(++entry->count);
  if (fatal) {
    firedamp_events->fatal = index + 1; /* its input is in the monitor */
    entry->wanted = 1;                  /* the next one may be survived */
  } else if (due || entry->wanted) { /* where all slots are full, one of the next will do */
    entry->wanted = !firedamp_spool(index, input, size);
    firedamp_events->unspooled += due && entry->wanted;
  }
}
