/* The target's global variables are put back after an execution that was cut short, so that a counter left half way
   does not blind the rest of the life. Coverage counters and our own state are not the target's. */
#define _GNU_SOURCE
#include <link.h>
#include <string.h>
#include <sys/mman.h>

#include "survive.h"
#include "state.h"

enum { MOST_BYTES = 1 << 18, MOST_REGIONS = 16 }; /* 256 KiB: 10-20 us, about what a detection costs */

#define BOUNDS(section) extern char __start_##section[], __stop_##section[];
#pragma GCC visibility push(hidden)
__attribute__((weak)) BOUNDS(__sancov_cntrs)
__attribute__((weak)) BOUNDS(firedamp_state)
#pragma GCC visibility pop

struct firedamp_region {
  char *start;
  size_t bytes;
};
static struct firedamp_region firedamp_regions[MOST_REGIONS] STATE;
static int firedamp_region_count STATE;
static char *firedamp_copy STATE;

struct firedamp_bounds {
  char *start, *end;
};

/* Adds [start, end) without what the `count` exclusions cut out of it. */
static void firedamp_add(char *start, char *end, const struct firedamp_bounds *excluded, int count) {
  if (start >= end) return;
  if (!count) {
    if (firedamp_region_count < MOST_REGIONS)
      firedamp_regions[firedamp_region_count++] = (struct firedamp_region){start, (size_t)(end - start)};
    return;
  }
  if (excluded->end <= start || excluded->start >= end) {
    firedamp_add(start, end, excluded + 1, count - 1);
    return;
  }
  firedamp_add(start, excluded->start, excluded + 1, count - 1);
  firedamp_add(excluded->end, end, excluded + 1, count - 1);
}

static int firedamp_take_writable(struct dl_phdr_info *info, size_t size, void *unused) {
  (void)size, (void)unused;
  struct firedamp_bounds excluded[] = {
      {0, 0},
      {__start___sancov_cntrs, __stop___sancov_cntrs},
      {__start_firedamp_state, __stop_firedamp_state},
  };
  int own = 0;
  for (int i = 0; i < info->dlpi_phnum; i++) {
    const ElfW(Phdr) *segment = &info->dlpi_phdr[i];
    char *start = (char *)info->dlpi_addr + segment->p_vaddr, *end = start + segment->p_memsz;
    if (segment->p_type == PT_LOAD && (char *)firedamp_take_writable >= start && (char *)firedamp_take_writable < end)
      own = 1;
    if (segment->p_type == PT_GNU_RELRO) excluded[0] = (struct firedamp_bounds){start, end};
  }
  for (int i = 0; own && i < info->dlpi_phnum; i++) {
    const ElfW(Phdr) *segment = &info->dlpi_phdr[i];
    char *start = (char *)info->dlpi_addr + segment->p_vaddr;
    if (segment->p_type == PT_LOAD && segment->p_flags & PF_W)
      firedamp_add(start, start + segment->p_memsz, excluded, sizeof excluded / sizeof *excluded);
  }
  return own;
}

size_t firedamp_keep_globals(void) {
  size_t bytes = 0;
  dl_iterate_phdr(firedamp_take_writable, 0);
  for (int i = 0; i < firedamp_region_count; i++) bytes += firedamp_regions[i].bytes;
  if (bytes > MOST_BYTES) return bytes;
  firedamp_copy = mmap(0, bytes + 1, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (firedamp_copy == MAP_FAILED) return bytes + 1;
  char *copy = firedamp_copy;
  for (int i = 0; i < firedamp_region_count; copy += firedamp_regions[i++].bytes)
    memcpy(copy, firedamp_regions[i].start, firedamp_regions[i].bytes);
  return 0;
}

void firedamp_restore_globals(void) {
  char *copy = firedamp_copy;
  for (int i = 0; i < firedamp_region_count; copy += firedamp_regions[i++].bytes)
    memcpy(firedamp_regions[i].start, copy, firedamp_regions[i].bytes);
}
