/* A greeting card from lines of "key: value". Two classic mistakes are left in on purpose: set_name() copies a value of
   any length into sixteen bytes, and note() uses a value as a format. -DREPAIRED mends both. */
#include <stdint.h>
#include <stdio.h>
#include <string.h>

static char card[256];

static void set_name(const char *value) {
  char name[16];
  size_t i = 0;
#ifdef REPAIRED
  for (; value[i] && i < sizeof name - 1; i++) name[i] = value[i];
#else
  for (; value[i]; i++) name[i] = value[i];
#endif
  name[i] = '\0';
  snprintf(card, sizeof card, "Dear %s,", name);
}

static void note(const char *value) {
  char line[128];
#ifdef REPAIRED
  snprintf(line, sizeof line, "%s", value);
#else
  snprintf(line, sizeof line, value);
#endif
  strncat(card, line, sizeof card - strlen(card) - 1);
}

static void read_line(const char *line) {
  if (strncmp(line, "name: ", 6) == 0) set_name(line + 6);
  if (strncmp(line, "note: ", 6) == 0) note(line + 6);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  char text[512];
  if (size >= sizeof text) return 0;
  memcpy(text, data, size);
  text[size] = '\0';
  card[0] = '\0';
  for (char *line = strtok(text, "\n"); line; line = strtok(NULL, "\n")) read_line(line);
  return 0;
}
