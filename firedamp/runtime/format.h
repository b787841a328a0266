/* FormatGuard: what a format asks for, held against what the call gave and against the input.

   What was given is known where firedamp/building/format_marks.py has marked the end of a call's arguments. A mark is read only
   by a format that asks for more than was given, so a right call can never look wrong. Of calls without a mark the guard
   says only that the input became a format. */
#ifndef FIREDAMP_FORMAT_H
#define FIREDAMP_FORMAT_H

#include <stdarg.h>
#include <stdint.h>

/* What the tracer reads (firedamp/trace/format_facts.py) when a fresh process stops by SIGABRT with si_code SI_QUEUE
   and the address of this in si_value. */
struct firedamp_format_facts {
  char magic[8];
  int32_t asked;    /* arguments that the format asks for */
  int32_t given;    /* -1: not known */
  int32_t argument; /* counted from 1: the first that is missing, or that is no pointer where one is asked for; 0: none */
  int32_t constant; /* the format lies in a read-only segment of a module */
  int64_t alike_at; /* the bytes of the input that the format has, ... */
  int64_t alike_bytes;
  char call[24];
  char what[40]; /* ... and of which part of the input */
  char format[256];
};

struct firedamp_format_call {
  const char *name;
  const void *site;    /* the return address in the target's code */
  int fortified;       /* libc itself refuses %n in writable memory and gaps in numbered arguments */
};

/* Returns for a call that is in order; else the execution ends here. Keeps errno, and `arguments` as they are. */
__attribute__((visibility("hidden"))) void firedamp_check_format(
    const struct firedamp_format_call *call, const char *format, va_list arguments);

#endif
