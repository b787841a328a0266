/* expat: a document with namespaces; the salt of its hash tables is fixed, since it would be another one each time. */
#include <expat.h>
#include <stddef.h>
#include <stdint.h>

static volatile unsigned sink;

static void XMLCALL start(void *data, const XML_Char *name, const XML_Char **attributes) {
  (void)data;
  sink += (unsigned char)name[0] + (attributes[0] != NULL);
}

static void XMLCALL text(void *data, const XML_Char *start, int length) {
  (void)data;
  sink += length ? (unsigned char)start[length - 1] : 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  XML_Parser parser = XML_ParserCreateNS(NULL, '|');
  if (!parser) return 0;
  XML_SetHashSalt(parser, 1);
  XML_SetStartElementHandler(parser, start);
  XML_SetCharacterDataHandler(parser, text);
  XML_Parse(parser, (const char *)data, (int)size, 1);
  XML_ParserFree(parser);
  return 0;
}
