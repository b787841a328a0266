/* Which places of the source were reached, of the coverage profile: the compiler's one byte for each lies in a file that
   $FIREDAMP_REACHED names, so no death of the process loses any, and children add to it. Linked behind all else. */
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

enum { PAGE = 4096 };

/* What the compiler calls for each object; the whole is known already. */
void __sanitizer_cov_bool_flag_init(uint8_t *start, uint8_t *stop) {}
void __sanitizer_cov_pcs_init(const uintptr_t *start, const uintptr_t *stop) {}

#ifndef FIREDAMP_SHARED_OBJECT /* of a shared library nothing is counted */

/* Makes the section begin and end with a page, so that a file can take its place. */
__attribute__((section("__sancov_bools"), aligned(PAGE), used)) uint8_t firedamp_last_page[PAGE];
extern uint8_t __start___sancov_bools[], __stop___sancov_bools[];

__attribute__((constructor(101))) static void firedamp_share_reached(void) {
  const char *name = getenv("FIREDAMP_REACHED");
  int fd = name ? open(name, O_RDWR | O_CLOEXEC) : -1;
  if (fd < 0) return;
  size_t size = (size_t)(__stop___sancov_bools - __start___sancov_bools);
  if ((uintptr_t)__start___sancov_bools % PAGE == 0 && size % PAGE == 0)
    mmap(__start___sancov_bools, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, fd, 0);
  close(fd);
}

#endif
