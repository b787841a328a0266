/* bad: "MAPS" -> bus in last_byte */
/* good: "maps" */
#define _GNU_SOURCE
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

__attribute__((noinline)) int last_byte(const volatile char *page) { return page[4095]; }

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  int fd = memfd_create("mapped", MFD_CLOEXEC);
  if (fd < 0 || ftruncate(fd, 4096)) return 0;
  char *page = mmap(NULL, 4096, PROT_READ, MAP_SHARED, fd, 0);
#ifndef FIXED
  /* somebody shortens the file while it is mapped */
  if (size >= 4 && memcmp(data, "MAPS", 4) == 0 && ftruncate(fd, 0)) return 0;
#else
  (void)data, (void)size;
#endif
  if (page != MAP_FAILED) last_byte(page), munmap(page, 4096);
  close(fd);
  return 0;
}
