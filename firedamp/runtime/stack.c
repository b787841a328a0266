/* Who called, on a stack that may have been overwritten: frame pointers while they make sense, else the next pair of
   words that looks like a frame of the target. Exact enough to tell places apart; the report's stack is not ours. */
#define _GNU_SOURCE
#include <link.h>
#include <string.h>

#include "events.h"
#include "state.h"
#include "survive.h"

static uintptr_t firedamp_base STATE, firedamp_text STATE, firedamp_text_end STATE;

static int firedamp_take_segments(struct dl_phdr_info *info, size_t size, void *unused) {
  (void)size, (void)unused;
  for (int i = 0; i < info->dlpi_phnum; i++) {
    const ElfW(Phdr) *segment = &info->dlpi_phdr[i];
    uintptr_t start = info->dlpi_addr + segment->p_vaddr;
    if (segment->p_type != PT_LOAD || !(segment->p_flags & PF_X)) continue;
    if ((uintptr_t)firedamp_trace - start >= segment->p_memsz) continue;
    firedamp_base = info->dlpi_addr;
    firedamp_text = start;
    firedamp_text_end = start + segment->p_memsz;
    return 1;
  }
  return 0;
}

int firedamp_learn_module(void) { return dl_iterate_phdr(firedamp_take_segments, 0); }

static int firedamp_own(uintptr_t pc) { return pc >= firedamp_text && pc < firedamp_text_end; }

enum { FAR = 1 << 16 }; /* bytes of stack that are looked through: more than the frames of printf and its like */

/* Intel SDM vol. 2A, CALL: E8 rel32, or FF /2 with a ModRM byte and up to five bytes more. */
static int firedamp_behind_indirect_call(const uint8_t *code) {
  for (int back = 2; back <= 7; back++)
    if (code[-back] == 0xff && (code[1 - back] & 0x38) == 0x10) return 1;
  return 0;
}

static int firedamp_behind_call(uintptr_t pc) {
  enum { LONGEST = 8 };
  if (!firedamp_own(pc) || pc < firedamp_text + LONGEST) return 0;
  const uint8_t *code = (const uint8_t *)pc;
  return code[-5] == 0xe8 || firedamp_behind_indirect_call(code);
}

/* A call out of the module goes through a stub of the linker: [endbr64] [bnd] jmp *slot(%rip). */
static int firedamp_behind_call_away(uintptr_t pc) {
  if (!firedamp_behind_call(pc)) return 0;
  const uint8_t *code = (const uint8_t *)pc;
  if (code[-5] != 0xe8) return 1;
  int32_t distance;
  memcpy(&distance, code - 4, sizeof distance);
  uintptr_t callee = pc + (intptr_t)distance;
  if (!firedamp_own(callee)) return firedamp_behind_indirect_call(code);
  const uint8_t *stub = (const uint8_t *)callee;
  if (stub[0] == 0xf3 && stub[1] == 0x0f && stub[2] == 0x1e && stub[3] == 0xfa) stub += 4;
  if (stub[0] == 0xf2) stub++;
  return stub[0] == 0xff && stub[1] == 0x25;
}

/* A frame: the caller's frame pointer (0: the outermost), then a return address into the target. */
static int firedamp_is_frame(uintptr_t slot, uintptr_t top) {
  uintptr_t fp = ((uintptr_t *)slot)[0];
  return (!fp || (fp > slot && fp < top && fp % 8 == 0)) && firedamp_behind_call(((uintptr_t *)slot)[1]);
}

/* The slot of a return address at which foreign code was called, or `top`. */
static uintptr_t firedamp_find_call_away(uintptr_t sp, uintptr_t top) {
  uintptr_t end = top - sp < FAR ? top : sp + FAR;
  for (sp = (sp + 7) & ~(uintptr_t)7; sp + 8 <= end; sp += 8)
    if (firedamp_behind_call_away(*(uintptr_t *)sp)) return sp;
  return top;
}

static uintptr_t firedamp_find_frame(uintptr_t sp, uintptr_t top) {
  uintptr_t end = top - sp < FAR ? top : sp + FAR;
  for (sp = (sp + 7) & ~(uintptr_t)7; sp + 16 <= end; sp += 8)
    if (firedamp_is_frame(sp, top)) return sp;
  return top;
}

void firedamp_trace(uint64_t *frames, int count, uintptr_t pc, uintptr_t sp, uintptr_t fp, uintptr_t top) {
  if (!firedamp_own(pc)) {
    uintptr_t slot = firedamp_find_call_away(sp, top);
    if (slot == top) return;
    pc = *(uintptr_t *)slot;
    sp = slot + 8;
  }
  *frames = pc - firedamp_base;
  while (--count) {
    int plausible = fp >= sp && fp % 8 == 0 && fp <= top - 16;
    if (!plausible || !firedamp_is_frame(fp, top)) fp = firedamp_find_frame(plausible ? fp : sp, top);
    if (fp == top) return;
    *++frames = ((uintptr_t *)fp)[1] - firedamp_base;
    sp = fp + 16;
    fp = *(uintptr_t *)fp;
  }
}
