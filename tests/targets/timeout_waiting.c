/* bad: "W" -> timeout in read_answer */
/* good: "w" */
/* limits: wall_s=0.5 */
#include <stddef.h>
#include <stdint.h>
#include <unistd.h>

__attribute__((noinline)) int read_answer(int fd) {
  char answer = 0;
  ssize_t count = read(fd, &answer, 1);
  return (int)count + answer;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  int ends[2];
  if (size == 0 || data[0] != 'W' || pipe(ends)) return 0;
#ifdef FIXED
  close(ends[1]), ends[1] = -1;
#endif
  read_answer(ends[0]);
  close(ends[0]);
  return 0;
}
