/* libc's tmpfile() wants /tmp, where a confined program may not write; this one is content with the working folder. */
#include <stdio.h>
#include <unistd.h>

FILE *tmpfile(void) {
  FILE *file = fopen("catdoc.tmp", "w+b");
  if (file) unlink("catdoc.tmp");
  return file;
}
