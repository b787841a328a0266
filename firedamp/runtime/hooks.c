/* The calls by which a guard or the target itself ends a process. They are hidden, so the target's own calls end here and
   nobody else's, before libc has printed anything; other libraries reach libc, and its SIGABRT the handler. Outside of an
   execution, and where nothing is wrong, libc's own functions do what they always do. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "detect.h"
#include "survive.h"

/* In a function that keeps a frame: the caller's code, stack and frame pointer. */
#define CALLER                                                                         \
  (uintptr_t)__builtin_return_address(0), (uintptr_t)__builtin_frame_address(0) + 16, \
      *(uintptr_t *)__builtin_frame_address(0)
#define NEXT(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

void firedamp_detected(enum firedamp_kind kind, const void *site) {
  uintptr_t frame = (uintptr_t)__builtin_frame_address(0);
  if (firedamp_ours()) firedamp_end(kind, 0, (uintptr_t)site, frame + 16, *(uintptr_t *)frame);
  NEXT(abort)();
  __builtin_unreachable();
}

void __stack_chk_fail(void) {
  if (firedamp_ours()) firedamp_end(FIREDAMP_STACK_SMASH, 0, CALLER);
  NEXT(__stack_chk_fail)();
  __builtin_unreachable();
}

void __assert_fail(const char *assertion, const char *file, unsigned line, const char *function) {
  if (firedamp_ours() && firedamp_abort_kills()) firedamp_end(FIREDAMP_ASSERT, 0, CALLER);
  NEXT(__assert_fail)(assertion, file, line, function);
  __builtin_unreachable();
}

void abort(void) {
  if (firedamp_ours() && firedamp_abort_kills()) firedamp_end(FIREDAMP_ABORT, 0, CALLER);
  NEXT(abort)();
  __builtin_unreachable();
}

#define EXIT(name)                                                                     \
  void name(int status) {                                                              \
    if (firedamp_ours()) firedamp_end(FIREDAMP_EXIT, (uint32_t)status & 0xff, CALLER); \
    NEXT(name)(status);                                                                \
    __builtin_unreachable();                                                           \
  }
EXIT(exit)
EXIT(_exit)
EXIT(_Exit)
EXIT(quick_exit)

/* FORTIFY's, of memory and strings: `room` is what the compiler knows of the destination. */
#define CHECKED(type, name, fits, plain, parameters, arguments)                                       \
  type name parameters {                                                                              \
    if (__builtin_expect(fits, 1)) return plain;                                                      \
    if (firedamp_ours() && firedamp_abort_kills()) firedamp_end(FIREDAMP_FORTIFY, 0, CALLER);         \
    return NEXT(name) arguments;                                                                      \
  }
#define BYTES(type, name, more) \
  CHECKED(type, __##name##_chk, n <= room, name(to, from, n), (char *to, more from, size_t n, size_t room), (to, from, n, room))

BYTES(void *, memcpy, const char *)
BYTES(void *, memmove, const char *)
BYTES(void *, mempcpy, const char *)
BYTES(void *, memset, int)
BYTES(char *, strncpy, const char *)
BYTES(char *, stpncpy, const char *)

#define STRING(name, fits) \
  CHECKED(char *, __##name##_chk, fits, name(to, from), (char *to, const char *from, size_t room), (to, from, room))

STRING(strcpy, strlen(from) < room)
STRING(stpcpy, strlen(from) < room)

static int firedamp_fits_behind(const char *to, size_t more, size_t room) {
  size_t used = strnlen(to, room);
  return used < room && more < room - used;
}

STRING(strcat, firedamp_fits_behind(to, strlen(from), room))
CHECKED(char *, __strncat_chk, firedamp_fits_behind(to, strnlen(from, n), room), strncat(to, from, n),
        (char *to, const char *from, size_t n, size_t room), (to, from, n, room))
