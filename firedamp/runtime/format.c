#define _GNU_SOURCE
#include "format.h"

#include <errno.h>
#include <limits.h>
#include <link.h>
#include <printf.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include "detect.h"
#include "input.h"
#include "state.h"

/* The marks behind the last argument: one in the general registers, one among the floating-point ones, and the types
   of the arguments, a __builtin_classify_type in four bits each. The low byte says how many arguments were given. */
static const uint64_t END = 0x9d4c7a61e83bf200u, REAL_END = 0xa5cc3f19e7d2b600u, COUNT = 0xff;

enum { ASKED_MOST = 32, SEGMENTS_MOST = 64, KNOWN = 1024, LOOK_AHEAD = 8, TYPES = 16, ALIKE_LEAST = 4 };
enum { INTEGER_TYPE = 1, BOOLEAN_TYPE = 4 }; /* typeclass.h of gcc: integers, characters, enumerations, booleans */

enum want { WORD, POINTER, REAL, LONG_REAL, HOLE, FOREIGN };

struct wants {
  const char *format;
  int32_t asked; /* may be more than ASKED_MOST */
  uint8_t kinds[ASKED_MOST];
};

struct given {
  int count;    /* -1: the end of the arguments was not seen */
  int argument; /* that broke the bounds or is no pointer; 0: all are well */
};

struct segment {
  uintptr_t start, end;
};

static struct segment firedamp_constants[SEGMENTS_MOST] STATE, firedamp_last_constant STATE;
static int firedamp_constant_count STATE;
static struct wants firedamp_known[KNOWN] STATE;

extern __attribute__((weak, visibility("hidden"))) __typeof__(firedamp_detected) firedamp_detected;

/* Where formats cannot change: what the module that we are linked into has first, since its literals lie there. */
static int firedamp_add_constants(struct dl_phdr_info *module, size_t size, void *context) {
  (void)size, (void)context;
  for (int i = 0; i < module->dlpi_phnum && firedamp_constant_count < SEGMENTS_MOST; i++) {
    const ElfW(Phdr) *segment = &module->dlpi_phdr[i];
    if (segment->p_type != PT_LOAD || segment->p_flags & PF_W || !(segment->p_flags & PF_R)) continue;
    uintptr_t start = module->dlpi_addr + segment->p_vaddr;
    firedamp_constants[firedamp_constant_count++] = (struct segment){start, start + segment->p_memsz};
  }
  return 0;
}

__attribute__((constructor(101))) static void firedamp_find_constants(void) {
  dl_iterate_phdr(firedamp_add_constants, NULL);
}

/* A format of a module that came later is read at each call, which is slower and as right. */
static int firedamp_is_constant(const char *format) {
  uintptr_t address = (uintptr_t)format;
  struct segment here = firedamp_last_constant;
  if (address - here.start < here.end - here.start) return 1;
  for (int i = 0; i < firedamp_constant_count; i++) {
    here = firedamp_constants[i];
    if (address - here.start < here.end - here.start) {
      firedamp_last_constant = here;
      return 1;
    }
  }
  return 0;
}

static enum want firedamp_want(int type) {
  if (type == -1) return HOLE; /* parse_printf_format leaves it as it was */
  if (type & PA_FLAG_PTR) return POINTER;
  switch (type & ~PA_FLAG_MASK) {
    case PA_INT:
    case PA_CHAR:
    case PA_WCHAR:
    case PA_POINTER: return WORD;
    case PA_STRING:
    case PA_WSTRING: return POINTER;
    case PA_FLOAT:
    case PA_DOUBLE: return type & PA_FLAG_LONG_DOUBLE ? LONG_REAL : REAL;
    default: return FOREIGN; /* register_printf_type(3): only its owner knows how to fetch it */
  }
}

/* libc's own reading, so that what register_printf_specifier(3) added counts too. */
static void firedamp_read(const char *format, struct wants *wants) {
  int types[ASKED_MOST];
  for (int i = 0; i < ASKED_MOST; i++) types[i] = -1;
  wants->format = format;
  wants->asked = (int32_t)parse_printf_format(format, ASKED_MOST, types);
  for (int i = 0; i < ASKED_MOST; i++) wants->kinds[i] = (uint8_t)firedamp_want(types[i]);
}

/* Constant formats are read once. An entry may be overwritten by another thread while it is copied. */
static void firedamp_recall(const char *format, struct wants *wants) {
  struct wants *entry = &firedamp_known[((uintptr_t)format * 0x9e3779b97f4a7c15u) >> 54];
  if (__atomic_load_n(&entry->format, __ATOMIC_ACQUIRE) == format) {
    *wants = *entry;
    __atomic_thread_fence(__ATOMIC_ACQUIRE);
    if (__atomic_load_n(&entry->format, __ATOMIC_RELAXED) == format && wants->format == format) return;
  }
  firedamp_read(format, wants);
  __atomic_store_n(&entry->format, NULL, __ATOMIC_RELEASE);
  struct wants draft = *wants;
  draft.format = NULL;
  *entry = draft;
  __atomic_store_n(&entry->format, format, __ATOMIC_RELEASE);
}

static int firedamp_is_end(uint64_t word) { return (word & ~COUNT) == END; }

static int firedamp_is_readable(uint64_t address) {
  char byte;
  struct iovec here = {&byte, 1}, there = {(void *)address, 1};
  return syscall(SYS_process_vm_readv, getpid(), &here, 1, &there, 1, 0) == 1;
}

/* An integer that stands where a pointer is asked for is wrong when it is none, whatever the types seem to be. */
static int firedamp_first_wild(const struct wants *wants, const uint64_t *words, uint64_t types) {
  for (int i = 0; i < wants->asked && i < TYPES; i++) {
    uint64_t type = types >> 4 * i & 15;
    int integer = type >= INTEGER_TYPE && type <= BOOLEAN_TYPE;
    if (integer && wants->kinds[i] == POINTER && words[i] && !firedamp_is_readable(words[i])) return i + 1;
  }
  return 0;
}

/* Walks the arguments as the format would, up to the mark. */
static struct given firedamp_walk(const struct wants *wants, int constant, va_list arguments) {
  uint64_t words[ASKED_MOST], word; /* of those that are no floating-point numbers */
  struct given given = {-1, 0};
  int pointers = 0, asked = wants->asked < ASKED_MOST ? wants->asked : ASKED_MOST;
  for (int i = 0; i < asked; i++) {
    union {
      double real;
      uint64_t bits;
    } fetched;
    switch ((enum want)wants->kinds[i]) {
      case FOREIGN: return given;
      case REAL:
        fetched.real = va_arg(arguments, double);
        if ((fetched.bits & ~COUNT) == REAL_END) return (struct given){(int)(fetched.bits & COUNT), i + 1};
        break;
      case LONG_REAL: (void)va_arg(arguments, long double); break;
      case POINTER: pointers++; /* fall through */
      default:
        words[i] = word = va_arg(arguments, uint64_t);
        if (firedamp_is_end(word)) return (struct given){(int)(word & COUNT), i + 1};
    }
  }
  for (int ahead = constant ? 1 : LOOK_AHEAD; ahead; ahead--) { /* more may be given than is asked for */
    word = va_arg(arguments, uint64_t);
    if (!firedamp_is_end(word)) continue;
    given.count = (int)(word & COUNT);
    if (pointers && given.count == wants->asked)
      given.argument = firedamp_first_wild(wants, words, va_arg(arguments, uint64_t));
    return given;
  }
  return given;
}

/* The first directive that takes an argument; NULL: there is none. */
static const char *firedamp_first_directive(const char *format) {
  for (const char *at = format; (at = strchr(at, '%')); at += 2) {
    char here[64];
    size_t size = strnlen(at + 1, sizeof here - 2);
    const char *next = memchr(at + 1, '%', size);
    if (next == at + 1) continue;
    size_t length = next ? (size_t)(next - at) : size + 1;
    memcpy(here, at, length);
    here[length] = '\0';
    if (parse_printf_format(here, 0, NULL)) return at;
    if (!at[1]) break;
  }
  return NULL;
}

/* Programs that take formats from their users (awk, printf(1), seq) read them themselves and give libc one directive
   after the other, each with what it asks for. Where nobody has counted, only more than one is a user's own format. */
static int firedamp_has_two_directives(const char *format) {
  const char *first = firedamp_first_directive(format);
  return first && firedamp_first_directive(first + 1);
}

struct search {
  const char *format, *directive;
  struct firedamp_format_facts *facts;
};

static size_t firedamp_alike(const unsigned char *bytes, size_t size, const char *text) {
  size_t length = 0;
  while (length < size && text[length] && bytes[length] == (unsigned char)text[length]) length++;
  return length;
}

static size_t firedamp_alike_before(const unsigned char *bytes, const unsigned char *at, const char *format,
                                    const char *from) {
  size_t length = 0;
  for (; at > bytes && from > format && *--at == (unsigned char)*--from; length++) continue;
  return length;
}

/* From the first directive on, or a little before it: as long as it is the same, in both directions. */
static int firedamp_look_in(void *context, const char *what, const unsigned char *bytes, size_t size) {
  struct search *search = context;
  struct firedamp_format_facts *facts = search->facts;
  size_t rest = strlen(search->directive);
  for (const char *from = search->directive; from >= search->format && search->directive - from < ALIKE_LEAST - 1; from--) {
    size_t least = (size_t)(search->directive - from) + rest;
    if (least > ALIKE_LEAST) least = ALIKE_LEAST;
    const unsigned char *end = bytes + size, *at = bytes;
    while ((at = memchr(at, *from, (size_t)(end - at)))) {
      size_t length = firedamp_alike(at, (size_t)(end - at), from), before = 0;
      if (length >= least) before = firedamp_alike_before(bytes, at, search->format, from);
      if (length >= least && (int64_t)(length + before) > facts->alike_bytes) {
        facts->alike_bytes = (int64_t)(length + before);
        facts->alike_at = at - bytes - (ptrdiff_t)before;
        strncpy(facts->what, what, sizeof facts->what - 1);
      }
      at++;
    }
  }
  return facts->alike_bytes > 0;
}

static void firedamp_find_origin(const char *format, struct firedamp_format_facts *facts) {
  const char *directive = firedamp_first_directive(format);
  struct search search = {format, directive, facts};
  if (directive) firedamp_each_input(firedamp_look_in, &search);
}

/* As a fresh process ends: by a signal that carries the facts, so that a handler or a message of the program's own
   can neither hide nor imitate it. */
__attribute__((noreturn, noinline)) static void firedamp_stop(struct firedamp_format_facts *facts) {
  sigset_t abort_only;
  sigemptyset(&abort_only);
  sigaddset(&abort_only, SIGABRT);
  sigprocmask(SIG_UNBLOCK, &abort_only, NULL);
  siginfo_t info = {.si_signo = SIGABRT, .si_code = SI_QUEUE};
  info.si_pid = getpid();
  info.si_uid = getuid();
  info.si_value.sival_ptr = facts;
  syscall(SYS_rt_tgsigqueueinfo, getpid(), gettid(), SIGABRT, &info);
  signal(SIGABRT, SIG_DFL); /* a handler came back */
  raise(SIGABRT);
  _exit(127);
}

static void firedamp_speak(const struct firedamp_format_call *call, const struct wants *wants, struct given given,
                           struct firedamp_format_facts *found) {
  static struct firedamp_format_facts facts STATE;
  facts = *found;
  memcpy(facts.magic, "FDFORMAT", sizeof facts.magic);
  facts.asked = wants->asked;
  facts.given = given.count;
  facts.argument = given.argument;
  strncpy(facts.call, call->name, sizeof facts.call - 1);
  strncpy(facts.format, wants->format, sizeof facts.format - 1);
  if (firedamp_detected) firedamp_detected(FIREDAMP_FORMAT, call->site);
  firedamp_stop(&facts);
}

/* How many arguments libc takes in their order, before a directive with a number makes it look at all of them. */
static int firedamp_unnumbered(const char *format) {
  char before[256];
  for (const char *dollar = format; (dollar = strchr(dollar, '$')); dollar++) {
    const char *start = dollar;
    while (start > format && start[-1] >= '0' && start[-1] <= '9') start--;
    if (start == dollar || start == format || start[-1] != '%') continue;
    size_t length = (size_t)(start - 1 - format);
    if (length >= sizeof before) break;
    memcpy(before, format, length);
    before[length] = '\0';
    return (int)parse_printf_format(before, 0, NULL);
  }
  return INT_MAX;
}

/* libc's own word on %n and on gaps, when it comes to it before it takes `first_wrong`. */
static int firedamp_is_left_to_libc(const struct wants *wants, const char *format, int first_wrong) {
  int types[ASKED_MOST] = {0};
  int asked = wants->asked < ASKED_MOST ? wants->asked : ASKED_MOST, gap = wants->asked > ASKED_MOST;
  parse_printf_format(format, ASKED_MOST, types);
  for (int i = 0; i < asked; i++) {
    gap |= wants->kinds[i] == HOLE;
    if (i < first_wrong && types[i] & PA_FLAG_PTR) return 1;
  }
  return gap && firedamp_unnumbered(format) < first_wrong;
}

static void firedamp_examine(const struct firedamp_format_call *call, const struct wants *wants, int constant,
                             va_list arguments) {
  va_list copy;
  va_copy(copy, arguments);
  struct given given = firedamp_walk(wants, constant, copy);
  va_end(copy);
  if (!given.argument && (constant || given.count >= 0)) return;
  struct firedamp_format_facts facts = {.constant = constant};
  if (!constant && (given.argument || firedamp_has_two_directives(wants->format)))
    firedamp_find_origin(wants->format, &facts);
  if (!given.argument && !facts.alike_bytes) return;
  int first_wrong = given.argument ? given.argument : 1;
  if (call->fortified && !constant && firedamp_is_left_to_libc(wants, wants->format, first_wrong)) return;
  firedamp_speak(call, wants, given, &facts);
}

void firedamp_check_format(const struct firedamp_format_call *call, const char *format, va_list arguments) {
  if (!format) return; /* libc has an answer to that: EINVAL */
  int saved = errno, constant = firedamp_is_constant(format);
  struct wants wants;
  if (constant)
    firedamp_recall(format, &wants);
  else if (strchr(format, '%'))
    firedamp_read(format, &wants);
  else
    return;
  if (wants.asked) firedamp_examine(call, &wants, constant, arguments);
  errno = saved;
}
