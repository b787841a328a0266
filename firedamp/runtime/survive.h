/* An execution that a guard or the kernel ends is only the end of that execution: see survive.c. */
#ifndef FIREDAMP_SURVIVE_H
#define FIREDAMP_SURVIVE_H

#include <stddef.h>
#include <stdint.h>

/* Exit status of a life that has survived so much that a fresh one is better: sysexits.h and libFuzzer leave it free. */
enum { FIREDAMP_SPENT = 80 };

/* Detections are survived from now on, and told in the memfd of `bytes` bytes (events.h). Returns 0, or an errno. */
int firedamp_survive(int fd, size_t bytes);

#pragma GCC visibility push(hidden)
/* LLVMFuzzerTestOneInput; -1, which tells libFuzzer to forget the input, where the execution was ended. */
int firedamp_execute(const uint8_t *data, size_t size);

/* Whether a detection here and now ends an execution: inside of one, in the thread and process that began it. */
int firedamp_ours(void);

/* Whether abort() would end the process; a target that catches SIGABRT goes on. */
int firedamp_abort_kills(void);

/* Records what the code at `pc`, with that stack and frame pointer, has done, and ends the execution. */
__attribute__((noreturn)) void firedamp_end(uint32_t kind, uint32_t detail, uintptr_t pc, uintptr_t sp, uintptr_t fp);

/* globals.c: keeps the library's variables, and puts them back. Bytes that are too many for that, or 0. */
size_t firedamp_keep_globals(void);
void firedamp_restore_globals(void);

/* stack.c: the code that called up to here, from `pc`, `sp` and `fp` on, as offsets in the library. */
int firedamp_learn_module(void);
void firedamp_trace(uint64_t *frames, int count, uintptr_t pc, uintptr_t sp, uintptr_t fp, uintptr_t top);
#pragma GCC visibility pop

#endif
