/* The target's string comparisons tell libFuzzer and the solver what they compared, so that a magic word is found and
   not guessed. libFuzzer's own interceptors are not in Atheris' wheel. libc computes the results: its code is vectorised. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <string.h>

#include "monitor.h"
#include "operands.h"
#include "state.h"

#define HOOK(name, ...) \
  __attribute__((weak, visibility("default"))) void __sanitizer_weak_hook_##name(void *caller, __VA_ARGS__)
#define NEXT(name)                                 \
  ({                                               \
    static void *next STATE;                       \
    if (!next) next = dlsym(RTLD_NEXT, #name);     \
    (__typeof__(&name))next;                       \
  })
#define NOTE(note, ...) \
  if (firedamp_comparing & FIREDAMP_RECORDED) firedamp_note_##note(__builtin_return_address(0), __VA_ARGS__)
#define REPORT(name, ...)                                                              \
  if (firedamp_comparing & FIREDAMP_REPORTED && __sanitizer_weak_hook_##name)          \
    __sanitizer_weak_hook_##name(__builtin_return_address(0), __VA_ARGS__)

HOOK(memcmp, const void *a, const void *b, size_t size, int result);
HOOK(strcmp, const char *a, const char *b, int result);
HOOK(strncmp, const char *a, const char *b, size_t size, int result);
HOOK(strcasecmp, const char *a, const char *b, int result);
HOOK(strncasecmp, const char *a, const char *b, size_t size, int result);
HOOK(strstr, const char *haystack, const char *needle, char *result);
HOOK(strcasestr, const char *haystack, const char *needle, char *result);
HOOK(memmem, const void *haystack, size_t size, const void *needle, size_t needle_size, void *result);

int memcmp(const void *a, const void *b, size_t size) {
  int result = NEXT(memcmp)(a, b, size);
  NOTE(memory, a, b, size, !result);
  if (result) REPORT(memcmp, a, b, size, result);
  return result;
}

int strcmp(const char *a, const char *b) {
  int result = NEXT(strcmp)(a, b);
  NOTE(strings, a, b, SIZE_MAX, !result);
  if (result) REPORT(strcmp, a, b, result);
  return result;
}

int strncmp(const char *a, const char *b, size_t size) {
  int result = NEXT(strncmp)(a, b, size);
  NOTE(strings, a, b, size, !result);
  if (result) REPORT(strncmp, a, b, size, result);
  return result;
}

int strcasecmp(const char *a, const char *b) {
  int result = NEXT(strcasecmp)(a, b);
  NOTE(strings, a, b, SIZE_MAX, !result);
  if (result) REPORT(strcasecmp, a, b, result);
  return result;
}

int strncasecmp(const char *a, const char *b, size_t size) {
  int result = NEXT(strncasecmp)(a, b, size);
  NOTE(strings, a, b, size, !result);
  if (result) REPORT(strncasecmp, a, b, size, result);
  return result;
}

/* Names in parentheses: string.h of newer C libraries has macros of these names that keep const. */
char *(strstr)(const char *haystack, const char *needle) {
  char *result = NEXT(strstr)(haystack, needle);
  if (!result) NOTE(search, haystack, firedamp_length(haystack, FIREDAMP_TEXT_BYTES), needle,
                    firedamp_length(needle, FIREDAMP_TEXT_BYTES));
  if (!result) REPORT(strstr, haystack, needle, result);
  return result;
}

char *(strcasestr)(const char *haystack, const char *needle) {
  char *result = NEXT(strcasestr)(haystack, needle);
  if (!result) NOTE(search, haystack, firedamp_length(haystack, FIREDAMP_TEXT_BYTES), needle,
                    firedamp_length(needle, FIREDAMP_TEXT_BYTES));
  if (!result) REPORT(strcasestr, haystack, needle, result);
  return result;
}

void *(memmem)(const void *haystack, size_t size, const void *needle, size_t needle_size) {
  void *result = NEXT(memmem)(haystack, size, needle, needle_size);
  if (!result) NOTE(search, haystack, size, needle, needle_size);
  if (!result) REPORT(memmem, haystack, size, needle, needle_size, result);
  return result;
}
