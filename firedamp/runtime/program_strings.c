/* The string comparisons of a program with a main of its own. Put in the way by ld --wrap and left by a jump, so that no
   frame of ours stands on the stack of a program that crashes in one of them; works in a static program, too. */
#define _GNU_SOURCE
#include <string.h>

#include "monitor.h"
#include "operands.h"

#define WRAP(result, name, parameters, arguments, note, ...)                                    \
  result __real_##name parameters;                                                              \
  result __wrap_##name parameters {                                                             \
    if (firedamp_comparing) firedamp_note_##note(__builtin_return_address(0), __VA_ARGS__);     \
    return __real_##name arguments;                                                             \
  }
#define STRINGS (const char *a, const char *b)
#define SOME (const char *a, const char *b, size_t size)
/* Whether they are equal is not known yet: the solver finds nothing to replace where they are. */
WRAP(int, memcmp, (const void *a, const void *b, size_t size), (a, b, size), memory, a, b, size, 0)
WRAP(int, strcmp, STRINGS, (a, b), strings, a, b, SIZE_MAX, 0)
WRAP(int, strncmp, SOME, (a, b, size), strings, a, b, size, 0)
WRAP(int, strcasecmp, STRINGS, (a, b), strings, a, b, SIZE_MAX, 0)
WRAP(int, strncasecmp, SOME, (a, b, size), strings, a, b, size, 0)
#define LENGTH(text) firedamp_length(text, FIREDAMP_TEXT_BYTES)
WRAP(char *, strstr, STRINGS, (a, b), search, a, LENGTH(a), b, LENGTH(b))
WRAP(char *, strcasestr, STRINGS, (a, b), search, a, LENGTH(a), b, LENGTH(b))
WRAP(void *, memmem, (const void *a, size_t size, const void *b, size_t b_size), (a, size, b, b_size), search, a, size, b, b_size)
