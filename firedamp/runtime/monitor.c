#include "monitor.h"

#include "history.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>

#include "input.h"
#include "operands.h"
#include "state.h"
#include "survive.h"

__attribute__((weak)) int LLVMFuzzerInitialize(int *argc, char ***argv);

#define EXPORT __attribute__((visibility("default")))

static struct firedamp_monitor firedamp_private STATE;
struct firedamp_monitor *firedamp_block STATE = &firedamp_private;
static uint64_t firedamp_period STATE = 1, firedamp_until_sample STATE = 1;
uint8_t firedamp_comparing STATE;

EXPORT int firedamp_attach(int fd, size_t bytes) {
  if (bytes < sizeof *firedamp_block) return EINVAL;
  struct firedamp_monitor *block = mmap(0, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  if (block == MAP_FAILED) return errno;
  block->capacity = bytes - sizeof *block;
  __atomic_store_n(&block->magic, FIREDAMP_MONITOR_MAGIC, __ATOMIC_RELEASE);
  firedamp_block = block;
  return 0;
}

EXPORT void firedamp_sample_comparisons(uint64_t period) {
  firedamp_period = period;
  firedamp_until_sample = 1;
}

EXPORT int firedamp_initialize(int *argc, char ***argv) {
  return LLVMFuzzerInitialize ? LLVMFuzzerInitialize(argc, argv) : 0;
}

static uint8_t firedamp_sampled(void) {
  if (!firedamp_period || --firedamp_until_sample) return 0;
  firedamp_until_sample = firedamp_period;
  return 1;
}

EXPORT int firedamp_one_input(const uint8_t *data, size_t size) {
  struct firedamp_monitor *block = firedamp_block;
  block->size = size;
  memcpy(block->bytes, data, size < block->capacity ? size : block->capacity);
  block->executions++;
  firedamp_remember(data, size);
  firedamp_comparing = firedamp_sampled() | firedamp_recording();
  __atomic_store_n(&block->inside, 1, __ATOMIC_RELEASE); /* the compiler keeps the order; so does x86 */
  int result = firedamp_execute(data, size);
  __atomic_store_n(&block->inside, 0, __ATOMIC_RELEASE);
  firedamp_comparing = 0;
  return result;
}

void firedamp_each_input(firedamp_look *look, void *context) {
  const struct firedamp_monitor *block = firedamp_block;
  if (block->inside) look(context, "input", block->bytes, block->size < block->capacity ? block->size : block->capacity);
}
