/* bad: "no %s here" -> format-arguments in main */
/* good: "no file" */
/* program: argv */
#include <err.h>
#include <stdio.h>
#include <string.h>

int main(int argc, char **argv) {
  char name[32] = {0};
  if (argc < 2) return 1;
  strncpy(name, argv[1], sizeof name - 1);
#ifdef FIXED
  warnx("%s", name);
#else
  warnx(name);
#endif
  printf("%s: %d%%\n", name, 100);
  return 0;
}
