/* bad: "%s%s%n%5d%1$s" -> silence */
/* good: "a word" */
#define _GNU_SOURCE
#include <errno.h>
#include <printf.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Eleven right ways to use formats, among them all that a careless guard would take for wrong ones. */

static char line[512];

static void own_warn(const char *format, ...) {
  va_list rest, again;
  va_start(rest, format);
  va_copy(again, rest);
  vsnprintf(line, sizeof line, format, rest);
  vsnprintf(line, sizeof line, format, again);
  va_end(again);
  va_end(rest);
}

/* A program's own function of such a name is its own. */
void warn(int status, const char *text) { snprintf(line, sizeof line, "%d %s", status, text); }

static int print_pair(FILE *stream, const struct printf_info *info, const void *const *arguments) {
  (void)info;
  return fprintf(stream, "(%d)", **(int *const *)arguments);
}

static int pair_takes(const struct printf_info *info, size_t count, int *types, int *sizes) {
  (void)info, (void)sizes;
  if (count) types[0] = PA_INT;
  return 1;
}

static void run_time_width(const char *text) {
  char format[32];
  snprintf(format, sizeof format, "%%%zds|%%-*d", strlen(text));
  snprintf(line, sizeof line, format, text, 3, 4);
}

static void copied_format(const char *text) {
  char *format = strdup("%2$s %1$d %%");
  snprintf(line, sizeof line, format, 7, text);
  free(format);
}

/* Of as many directives as there are values, at most the eight that are given. */
static void repeated(const char *text) {
  char format[64] = "";
  for (size_t i = 0; i < strlen(text) && i < 8; i++) strcat(format, "%d ");
  snprintf(line, sizeof line, format, 1, 2, 3, 4, 5, 6, 7, 8);
}

/* As awk does: a user's format is read here, and libc gets one directive at a time with what it asks for. */
static void user_format(const char *text, int (*print)(char *, size_t, const char *, ...)) {
  for (const char *at = text; (at = strchr(at, '%')); at++) {
    size_t digits = strspn(at + 1, "0123456789");
    char piece[sizeof line];
    if (at[1 + digits] != 'd') continue;
    memcpy(piece, at, digits + 2);
    piece[digits + 2] = '\0';
    print(line, sizeof line, piece, 7);
  }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  char text[64] = {0};
  int (*through_pointer)(char *, size_t, const char *, ...) = snprintf;
  memcpy(text, data, size < sizeof text ? size : sizeof text - 1);
  register_printf_specifier('Y', print_pair, pair_takes);
  errno = ENOENT;
  snprintf(line, sizeof line, "%*d %.*s %m %Lf %hhx %p %c %lld %%", 5, 1, 2, text, 1.0L, 255, (void *)text, 'c', 1LL);
  snprintf(line, sizeof line, "%Y and %s", 5, text);
  own_warn(text[0] == 'a' ? "%s" : "%s, %d", text, 2, 3.0);
  own_warn("%f %d %f %d %f %d %s %f %d %d %d", 1.0, 1, 2.0, 2, 3.0, 3, text, 4.0, 4, 5, 6);
  warn(1, text);
  through_pointer(line, sizeof line, "%s %d %f", text, 1, 2.0);
  run_time_width(text);
  copied_format(text);
  repeated(text);
  user_format(text, snprintf);
  fprintf(stderr, "%s\n", text);
  return 0;
}
