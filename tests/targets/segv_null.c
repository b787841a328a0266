/* bad: "NODE" -> segv-null in next_of */
/* good: "node" */
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct node {
  struct node *next;
  int value;
};

__attribute__((noinline)) int next_of(const struct node *node) {
#ifdef FIXED
  if (!node) return 0;
#endif
  return ((const volatile struct node *)node)->value;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  struct node only = {NULL, 1};
  struct node *volatile at = size >= 4 && memcmp(data, "NODE", 4) == 0 ? only.next : &only;
  next_of(at);
  return 0;
}
