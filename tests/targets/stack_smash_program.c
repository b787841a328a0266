/* bad: "D"*80 -> stack-smash in main */
/* good: "D"*8 */
/* program: argv */
#include <stdio.h>
#include <string.h>

int main(int argc, char **argv) {
  char host[32];
  const char *given = argc > 1 ? argv[1] : "";
  size_t length = strlen(given);
#ifdef FIXED
  if (length > sizeof host - 1) length = sizeof host - 1;
#endif
  for (size_t i = 0; i < length; i++) ((volatile char *)host)[i] = given[i];
  ((volatile char *)host)[length] = 0;
  puts("traced");
  return 0;
}
