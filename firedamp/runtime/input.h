/* The bytes that came from outside in this execution, for guards that ask where something comes from. */
#ifndef FIREDAMP_INPUT_H
#define FIREDAMP_INPUT_H

#include <stddef.h>

/* `what` is "input", or the part of a program's input: "argument 2", "standard input", "file of argument 2".
   Answers true when it has seen enough. */
typedef int firedamp_look(void *context, const char *what, const unsigned char *bytes, size_t size);

/* Shows each part in turn. replay.c, monitor.c and program_input.c each have their own. */
__attribute__((visibility("hidden"))) void firedamp_each_input(firedamp_look *look, void *context);

#endif
