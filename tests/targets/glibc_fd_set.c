/* bad: "\xff\xff" -> glibc-fatal in watch */
/* good: "\x05\x00" */
#include <stddef.h>
#include <stdint.h>
#include <sys/select.h>

static fd_set watched;

__attribute__((noinline)) void watch(int fd) {
#ifdef FIXED
  if (fd >= FD_SETSIZE) return;
#endif
  FD_SET(fd, &watched);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  if (size >= 2) watch(data[0] | data[1] << 8);
  return 0;
}
