/* What guards inside the target's library say when they have found something. In `target.so` alone: a fresh process
   (`replay`) is judged by other witnesses, and a guard that runs there ends the process in its own way. */
#ifndef FIREDAMP_DETECT_H
#define FIREDAMP_DETECT_H

#include <stdint.h>

/* Written into shared memory; fuzz/events.py has the same numbers. */
enum firedamp_kind {
  FIREDAMP_SIGNAL = 1, /* detail: its number */
  FIREDAMP_STACK_SMASH,
  FIREDAMP_FORTIFY,
  FIREDAMP_FORMAT,
  FIREDAMP_ASSERT,
  FIREDAMP_ABORT,
  FIREDAMP_EXIT, /* detail: the status */
};

/* Records the detection at `site`, an address in the target's code: the return address of the guard's own caller.
   The execution ends here and the next one begins; without survival, and outside of an execution, the process aborts. */
__attribute__((noreturn, visibility("hidden"))) void firedamp_detected(enum firedamp_kind kind, const void *site);

#endif
