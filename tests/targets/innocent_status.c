/* bad: "usage" -> silence */
/* good: "fine" */
/* program: argv */
#include <string.h>

/* a program may refuse its arguments: an exit status says nothing */
int main(int argc, char **argv) { return argc > 1 && strcmp(argv[1], "usage") == 0 ? 2 : 0; }
