/* The target's own calls of the printf family. Weak: a program that has a function of such a name keeps it. */
#define _GNU_SOURCE
#define __NO_INLINE__ 1 /* stdio.h has a body for vprintf */
#include <dlfcn.h>
#include <err.h>
#include <error.h>
#include <obstack.h>
#include <stdio.h>
#include <stdlib.h>
#include <syslog.h>

#include "format.h"
#include "state.h"

#define OURS __attribute__((weak))
#define NEXT(name)                             \
  ({                                           \
    static void *next STATE;                   \
    if (!next) next = dlsym(RTLD_NEXT, #name); \
    (__typeof__(&name))next;                   \
  })
#define CHECK(name, format, arguments, fortified)                                                       \
  firedamp_check_format(                                                                                \
      &(struct firedamp_format_call){name, __builtin_return_address(0), fortified}, format, arguments)

/* A function of variable arguments, and its twin that takes a va_list. `before` is all between the parentheses up to
   the format, with a comma behind it. */
#define PAIR(type, name, variadic, fortified, parameters, arguments) \
  OURS type variadic(parameters const char *format, ...) {           \
    va_list rest;                                                    \
    va_start(rest, format);                                          \
    CHECK(#variadic, format, rest, fortified);                       \
    type result = NEXT(name)(arguments format, rest);                \
    va_end(rest);                                                    \
    return result;                                                   \
  }                                                                  \
  OURS type name(parameters const char *format, va_list rest) {      \
    CHECK(#name, format, rest, fortified);                           \
    return NEXT(name)(arguments format, rest);                       \
  }
#define SILENT_PAIR(name, variadic, fortified, parameters, arguments) \
  OURS void variadic(parameters const char *format, ...) {            \
    va_list rest;                                                     \
    va_start(rest, format);                                           \
    CHECK(#variadic, format, rest, fortified);                        \
    NEXT(name)(arguments format, rest);                               \
    va_end(rest);                                                     \
  }                                                                   \
  OURS void name(parameters const char *format, va_list rest) {       \
    CHECK(#name, format, rest, fortified);                            \
    NEXT(name)(arguments format, rest);                               \
  }
#define _ ,

/* What FORTIFY calls: glibc declares it only where FORTIFY is on. */
int __vprintf_chk(int flag, const char *format, va_list rest);
int __vfprintf_chk(FILE *stream, int flag, const char *format, va_list rest);
int __vsprintf_chk(char *to, int flag, size_t room, const char *format, va_list rest);
int __vsnprintf_chk(char *to, size_t size, int flag, size_t room, const char *format, va_list rest);
int __vdprintf_chk(int fd, int flag, const char *format, va_list rest);
int __vasprintf_chk(char **to, int flag, const char *format, va_list rest);
int __obstack_vprintf_chk(struct obstack *to, int flag, const char *format, va_list rest);
void __vsyslog_chk(int priority, int flag, const char *format, va_list rest);

PAIR(int, vprintf, printf, 0, , )
PAIR(int, vfprintf, fprintf, 0, FILE *stream _, stream _)
PAIR(int, vsprintf, sprintf, 0, char *to _, to _)
PAIR(int, vsnprintf, snprintf, 0, char *to _ size_t size _, to _ size _)
PAIR(int, vdprintf, dprintf, 0, int fd _, fd _)
PAIR(int, vasprintf, asprintf, 0, char **to _, to _)
PAIR(int, obstack_vprintf, obstack_printf, 0, struct obstack *to _, to _)
PAIR(int, __vprintf_chk, __printf_chk, flag > 0, int flag _, flag _)
PAIR(int, __vfprintf_chk, __fprintf_chk, flag > 0, FILE *stream _ int flag _, stream _ flag _)
PAIR(int, __vsprintf_chk, __sprintf_chk, flag > 0, char *to _ int flag _ size_t room _, to _ flag _ room _)
PAIR(int, __vsnprintf_chk, __snprintf_chk, flag > 0, char *to _ size_t size _ int flag _ size_t room _,
     to _ size _ flag _ room _)
PAIR(int, __vdprintf_chk, __dprintf_chk, flag > 0, int fd _ int flag _, fd _ flag _)
PAIR(int, __vasprintf_chk, __asprintf_chk, flag > 0, char **to _ int flag _, to _ flag _)
PAIR(int, __obstack_vprintf_chk, __obstack_printf_chk, flag > 0, struct obstack *to _ int flag _, to _ flag _)
SILENT_PAIR(vsyslog, syslog, 0, int priority _, priority _)
SILENT_PAIR(__vsyslog_chk, __syslog_chk, flag > 0, int priority _ int flag _, priority _ flag _)
SILENT_PAIR(vwarn, warn, 0, , )
SILENT_PAIR(vwarnx, warnx, 0, , )
SILENT_PAIR(verr, err, 0, int status _, status _)
SILENT_PAIR(verrx, errx, 0, int status _, status _)

/* error(3) has no twin that takes a va_list: it gets the text ready-made. */
#define READY(name, before, arguments)                                    \
  OURS void name(before const char *format, ...) {                        \
    va_list rest;                                                         \
    char *text = NULL;                                                    \
    va_start(rest, format);                                               \
    CHECK(#name, format, rest, 0);                                        \
    int failed = NEXT(vasprintf)(&text, format, rest) < 0;                \
    va_end(rest);                                                         \
    NEXT(name)(arguments "%s", failed ? format : text);                   \
    free(text);                                                           \
  }

READY(error, int status _ int number _, status _ number _)
READY(error_at_line, int status _ int number _ const char *file _ unsigned line _, status _ number _ file _ line _)
