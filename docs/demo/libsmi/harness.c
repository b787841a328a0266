/* libsmi 0.4.8 resolves the name of an SNMP object. CVE-2010-2891: smiGetNode() copies a numeric object identifier of
   any length into an array on its stack. */
#include <stdint.h>
#include <string.h>

#include "smi.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  static int ready;
  char name[4096];
  if (size == 0 || size >= sizeof name || data[0] == '.') return 0;
  for (size_t i = 0; i < size; i++)
    if (data[i] != '.' && (data[i] < '0' || data[i] > '9')) return 0;
  if (!ready) {
    smiInit(NULL);
    ready = 1;
  }
  memcpy(name, data, size);
  name[size] = '\0';
  smiGetNode(NULL, name);
  return 0;
}
