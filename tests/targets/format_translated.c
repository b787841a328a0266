/* bad: "2" -> format-arguments in tell */
/* good: "1" */
#include <fcntl.h>
#include <libintl.h>
#include <locale.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#ifdef FIXED
#define SECOND "%s wurde gelesen"
#else
#define SECOND "%s wurde von %s gelesen" /* a translator's mistake */
#endif

static const char *const texts[] = {"%d files", "%s was read", "%d Dateien", SECOND};

/* The file that msgfmt(1) writes: magic, version, count, where both tables are, then length and place of each text. */
static void write_catalogue(const char *path) {
  uint32_t head[7 + 8] = {0x950412de, 0, 2, 28, 44, 0, 60};
  uint32_t at = sizeof head;
  for (int i = 0; i < 4; i++) {
    head[7 + 2 * i] = (uint32_t)strlen(texts[i]);
    head[8 + 2 * i] = at;
    at += (uint32_t)strlen(texts[i]) + 1;
  }
  FILE *file = fopen(path, "wb");
  if (!file) abort();
  fwrite(head, sizeof head, 1, file);
  for (int i = 0; i < 4; i++) fwrite(texts[i], strlen(texts[i]) + 1, 1, file);
  fclose(file);
}

static void translate(void) {
  char path[512];
  const char *folder = getenv("TMPDIR") ? getenv("TMPDIR") : "/tmp";
  snprintf(path, sizeof path, "%s/xx", folder);
  mkdir(path, 0700);
  strcat(path, "/LC_MESSAGES");
  mkdir(path, 0700);
  strcat(path, "/letters.mo");
  write_catalogue(path);
  setenv("LANGUAGE", "xx", 1);
  setlocale(LC_ALL, "C.UTF-8"); /* of every glibc since 2.35; "C" is never translated */
  bindtextdomain("letters", folder);
  textdomain("letters");
}

__attribute__((noinline)) int tell(int which, const char *name) {
  char line[128];
  return which == '2' ? snprintf(line, sizeof line, gettext("%s was read"), name)
                      : snprintf(line, sizeof line, gettext("%d files"), 3);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  if (!size) return 0;
  translate();
  if (strcmp(gettext("%d files"), "%d Dateien")) abort();
  return tell(data[0], "input") < 0;
}
