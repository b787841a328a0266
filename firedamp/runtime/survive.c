/* Survival. The target runs on a stack of its own between guard pages, so that what it overwrites is never a frame of
   libFuzzer or Python. A guard's hook or a signal records what was found and goes back to where the target was called;
   the execution's globals are put back and its descriptors closed. What cannot be trusted after that ends the life:
   faults inside the allocator (its locks may be held) and damage it found, other threads, processes that were forked.
   A handler that the target installs for one of these signals stays the target's, and is reported. */
#define _GNU_SOURCE
#include "survive.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <ucontext.h>
#include <unistd.h>

#include "detect.h"
#include "events.h"
#include "history.h"
#include "monitor.h"
#include "state.h"

enum {
  STACK_DEFAULT = 8 << 20, /* bytes, where the limit is infinite */
  GUARD = 1 << 20,         /* above what a frame may jump over */
  HEADROOM = 8 << 10,      /* what lies above main's caller in a real process: arguments and environment */
  HANDLER_STACK = 256 << 10, /* libFuzzer's alarm runs there, too, and writes its report */
  LOW_ADDRESS = 64 << 10,    /* of a null pointer's members: vm.mmap_min_addr */
  CHECK_SURVIVED = 1 << 10, CHECK_EXECUTED = 1 << 16, /* how often memory and handlers are looked at */
};
#define MOST_GROWTH (256ul << 20) /* bytes of memory over one life's survivals: leaks */

extern int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
extern int firedamp_enter(const uint8_t *data, size_t size);
extern char firedamp_leave[];

uintptr_t firedamp_home STATE, firedamp_top STATE;
uint32_t firedamp_mxcsr STATE = 0x1f80; /* the psABI's state at process entry */
uint16_t firedamp_x87 STATE = 0x37f;

/* firedamp_enter(data, size): callee-saved registers on libFuzzer's stack, then the target on its own. Unwinders stop
   here. firedamp_leave, jumped to from anywhere in the target, returns -1 from it. */
__asm__(
    ".text\n"
    ".globl firedamp_enter, firedamp_leave\n"
    ".hidden firedamp_enter, firedamp_leave\n"
    ".type firedamp_enter, @function\n"
    "firedamp_enter:\n"
    "  .cfi_startproc\n"
    "  .cfi_undefined rip\n"
    "  push %rbp\n  push %rbx\n  push %r12\n  push %r13\n  push %r14\n  push %r15\n"
    "  mov %rsp, firedamp_home(%rip)\n"
    "  mov firedamp_top(%rip), %rsp\n"
    "  xor %ebp, %ebp\n"
    "  call LLVMFuzzerTestOneInput@PLT\n"
    "  mov firedamp_home(%rip), %rsp\n"
    "1:\n"
    "  pop %r15\n  pop %r14\n  pop %r13\n  pop %r12\n  pop %rbx\n  pop %rbp\n"
    "  ret\n"
    "firedamp_leave:\n"
    "  mov firedamp_home(%rip), %rsp\n"
    "  cld\n"
    "  fninit\n"
    "  fldcw firedamp_x87(%rip)\n"
    "  ldmxcsr firedamp_mxcsr(%rip)\n"
    "  mov $-1, %eax\n"
    "  jmp 1b\n"
    "  .cfi_endproc\n"
    ".size firedamp_enter, . - firedamp_enter\n");

static const int firedamp_signals[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT, SIGTRAP, SIGSYS};
#define EACH_SIGNAL(number)                                                                                       \
  for (const int *number = firedamp_signals; number < firedamp_signals + sizeof firedamp_signals / sizeof(int); number++)

static uintptr_t firedamp_bottom STATE; /* of the target's stack */
static uint8_t *firedamp_handler_stack STATE;
static pid_t firedamp_thread STATE; /* that libFuzzer calls us in; 0 before the life's first execution */
static int firedamp_running STATE, firedamp_hit STATE, firedamp_first_fd STATE;
static sigset_t firedamp_mask STATE;
static size_t firedamp_first_resident STATE;
static uint64_t firedamp_survived STATE, firedamp_executed STATE;
static uintptr_t firedamp_allocator STATE, firedamp_allocator_end STATE;
struct firedamp_abort_message {
  unsigned size;
  char text[];
};
static struct firedamp_abort_message **firedamp_abort_message STATE;

static size_t firedamp_stack_bytes(void) {
  struct rlimit limit;
  if (getrlimit(RLIMIT_STACK, &limit) || limit.rlim_cur == RLIM_INFINITY) return STACK_DEFAULT;
  return (limit.rlim_cur + 0xffff) & ~(size_t)0xffff;
}

static int firedamp_make_stacks(void) {
  size_t bytes = firedamp_stack_bytes();
  int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE;
  uint8_t *stack = mmap(0, bytes + 2 * GUARD, PROT_NONE, flags, -1, 0);
  if (stack == MAP_FAILED || mprotect(stack + GUARD, bytes, PROT_READ | PROT_WRITE)) return errno;
  firedamp_handler_stack = mmap(0, HANDLER_STACK, PROT_READ | PROT_WRITE, flags, -1, 0);
  if (firedamp_handler_stack == MAP_FAILED) return errno;
  firedamp_bottom = (uintptr_t)stack + GUARD;
  firedamp_top = firedamp_bottom + bytes - HEADROOM;
  return 0;
}

/* glibc's malloc.c is one piece of code around its exported functions, the static ones in front of them. */
static void firedamp_find_allocator(void) {
  static const char *const names[] = {"malloc", "free", "calloc", "realloc", "memalign", "malloc_info"};
  enum { BEFORE = 32 << 10, BEHIND = 4 << 10 };
  uintptr_t lowest = UINTPTR_MAX, highest = 0;
  for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
    uintptr_t found = (uintptr_t)dlsym(RTLD_NEXT, names[i]);
    if (found && found < lowest) lowest = found;
    if (found > highest) highest = found;
  }
  firedamp_allocator = highest ? lowest - BEFORE : 0;
  firedamp_allocator_end = highest ? highest + BEHIND : 0;
  firedamp_abort_message = dlvsym(RTLD_NEXT, "__abort_msg", "GLIBC_PRIVATE");
}

__attribute__((visibility("default"))) int firedamp_survive(int fd, size_t bytes) {
  int failed = firedamp_map_events(fd, bytes);
  if (!failed && !firedamp_learn_module()) failed = ENOEXEC;
  if (!failed) failed = firedamp_make_stacks();
  if (failed) firedamp_events = 0;
  firedamp_find_allocator();
  return failed;
}

static pid_t firedamp_tid(void) { return (pid_t)syscall(SYS_gettid); }

/* Ours to survive: in an execution, by the thread that was called. A forked child has another id, too. */
int firedamp_ours(void) { return firedamp_running && firedamp_tid() == firedamp_thread; }

static int firedamp_in_allocator(uintptr_t pc) { return pc >= firedamp_allocator && pc < firedamp_allocator_end; }

/* What malloc.c says when it stops. A wrong argument is noticed before anything is done with it: no damage, no lock. */
static int firedamp_heap_is_damaged(void) {
  static const char *const wrong[] = {"double free detected in tcache", "double free or corruption (fasttop)",
                                      "free(): invalid pointer"};
  struct firedamp_abort_message *message = firedamp_abort_message ? *firedamp_abort_message : 0;
  if (!message || !message->text[0]) return 0;
  const char *text = message->text;
  int damaged = !strstr(text, "*** ") && (!strstr(text, "Assertion `") || strstr(text, "malloc"));
  for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) damaged = damaged && !strstr(text, wrong[i]);
  message->text[0] = 0; /* the next one to abort may say nothing */
  return damaged;
}

static int firedamp_is_fatal(int number, uintptr_t pc, uintptr_t sp) {
  enum { NEAR = 16 }; /* words: a string function called by the allocator */
  if (number == SIGABRT) return firedamp_heap_is_damaged();
  if (firedamp_in_allocator(pc)) return 1;
  if (sp < firedamp_bottom || sp >= firedamp_top - NEAR * 8) return 0;
  for (int i = 0; i < NEAR; i++)
    if (firedamp_in_allocator(((uintptr_t *)sp)[i])) return 1;
  return 0;
}

/* With the signal, what tells apart two faults of one instruction; the rest of an address is never the same twice. */
static uint32_t firedamp_detail(const siginfo_t *info, const ucontext_t *context) {
  uint32_t number = (uint32_t)info->si_signo;
  if ((number != SIGSEGV && number != SIGBUS) || info->si_code <= 0) return number; /* sent: there is no address */
  uintptr_t address = (uintptr_t)info->si_addr;
  int null = address < LOW_ADDRESS, guard = address < firedamp_bottom && address >= firedamp_bottom - GUARD;
  int write = (context->uc_mcontext.gregs[REG_ERR] & 2) != 0; /* the page fault's error code: SDM vol. 3A, 4.7 */
  return number | (uint32_t)(null | write << 1 | guard << 2) << 8;
}

static void firedamp_tell(uint32_t kind, uint32_t detail, uintptr_t pc, uintptr_t sp, uintptr_t fp, int fatal) {
  struct firedamp_signature detection = {.kind = kind, .detail = detail};
  uintptr_t top = firedamp_top;
  if (sp < firedamp_bottom && sp >= firedamp_bottom - GUARD) sp = firedamp_bottom;
  if (sp < firedamp_bottom || sp >= top) sp = top; /* a stack of the target's own: nothing there is safe to read */
  firedamp_trace(detection.frames, FIREDAMP_FRAMES, pc, sp, fp, top);
  /* The monitor's copy: libFuzzer's lies in the heap, among what the target has overwritten. */
  size_t size = firedamp_block->size < firedamp_block->capacity ? firedamp_block->size : firedamp_block->capacity;
  firedamp_record(&detection, firedamp_block->bytes, size, fatal);
}

static void firedamp_on_signal(int number, siginfo_t *info, void *opaque) {
  ucontext_t *context = opaque;
  greg_t *registers = context->uc_mcontext.gregs;
  uintptr_t pc = (uintptr_t)registers[REG_RIP], sp = (uintptr_t)registers[REG_RSP], fp = (uintptr_t)registers[REG_RBP];
  firedamp_comparing = 0; /* our own string functions report to libFuzzer, too */
  int ours = firedamp_ours(), fatal = !ours || firedamp_is_fatal(number, pc, sp);
  if (ours) firedamp_tell(FIREDAMP_SIGNAL, firedamp_detail(info, context), pc, sp, fp, fatal);
  if (fatal) {
    signal(number, SIG_DFL);
    raise(number); /* held back until we return */
    return;
  }
  firedamp_running = 0;
  firedamp_hit = 1;
  registers[REG_RIP] = (greg_t)firedamp_leave;
  registers[REG_EFL] = 0x202; /* no single step, no direction */
  memcpy(&context->uc_sigmask, &firedamp_mask, _NSIG / 8); /* the kernel's is smaller than libc's */
}

void firedamp_end(uint32_t kind, uint32_t detail, uintptr_t pc, uintptr_t sp, uintptr_t fp) {
  firedamp_tell(kind, detail, pc, sp, fp, 0);
  firedamp_running = 0;
  firedamp_hit = 1;
  sigprocmask(SIG_SETMASK, &firedamp_mask, 0);
  __asm__ volatile("jmp firedamp_leave");
  __builtin_unreachable();
}

int firedamp_abort_kills(void) {
  struct sigaction action;
  return !sigaction(SIGABRT, 0, &action) && action.sa_sigaction == firedamp_on_signal;
}

static size_t firedamp_resident(void) {
  char text[64] = "";
  int fd = open("/proc/self/statm", O_RDONLY | O_CLOEXEC);
  if (fd < 0) return 0;
  ssize_t got = read(fd, text, sizeof text - 1);
  close(fd);
  char *second = got > 0 ? strchr(text, ' ') : 0;
  return second ? strtoul(second, 0, 10) * 4096 : 0;
}

static void firedamp_look_for_handlers(void) {
  struct sigaction action;
  EACH_SIGNAL(number)
    if (!sigaction(*number, 0, &action) && action.sa_sigaction != firedamp_on_signal)
      firedamp_events->handled |= 1ull << *number;
}

static void firedamp_begin_life(void) {
  stack_t stack = {.ss_sp = firedamp_handler_stack, .ss_size = HANDLER_STACK};
  struct sigaction action = {.sa_sigaction = firedamp_on_signal, .sa_flags = SA_SIGINFO | SA_ONSTACK};
  firedamp_thread = firedamp_tid();
  firedamp_events->unrestored = firedamp_keep_globals();
  firedamp_first_resident = firedamp_resident();
  sigprocmask(0, 0, &firedamp_mask);
  sigaltstack(&stack, 0);
  EACH_SIGNAL(number) {
    struct sigaction given;
    if (!sigaction(*number, 0, &given) && given.sa_handler == SIG_DFL) sigaction(*number, &action, 0);
  }
  firedamp_look_for_handlers();
  while (fcntl(firedamp_first_fd, F_GETFD) >= 0) firedamp_first_fd++;
}

/* What the ended execution leaves behind: variables, descriptors, memory. */
static void firedamp_clean_up(void) {
  firedamp_hit = 0;
  firedamp_forget();
  if (!firedamp_events->unrestored) {
    firedamp_restore_globals();
    firedamp_forget_all();
    syscall(SYS_close_range, firedamp_first_fd, ~0u, 0);
  }
  if (++firedamp_survived % CHECK_SURVIVED || firedamp_resident() < firedamp_first_resident + MOST_GROWTH) return;
  firedamp_block->inside = 0;
  _exit(FIREDAMP_SPENT);
}

int firedamp_execute(const uint8_t *data, size_t size) {
  if (!firedamp_events) return LLVMFuzzerTestOneInput(data, size);
  if (!firedamp_thread) firedamp_begin_life();
  if (++firedamp_executed % CHECK_EXECUTED == 0) firedamp_look_for_handlers();
  firedamp_running = 1;
  int result = firedamp_enter(data, size);
  firedamp_running = 0;
  if (__builtin_expect(firedamp_hit, 0)) firedamp_clean_up();
  return result;
}
