/* bad: "login of %s%s" -> format-arguments in audit */
/* good: "login" */
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <syslog.h>

__attribute__((noinline)) void audit(const char *text) {
#ifdef FIXED
  syslog(LOG_DEBUG, "%s", text);
#else
  syslog(LOG_DEBUG, text);
#endif
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  char text[32] = {0};
  memcpy(text, data, size < sizeof text ? size : sizeof text - 1);
  setlogmask(0); /* looked at, not written */
  audit(text);
  return 0;
}
