/* Both decoders of jbigkit on the same bytes, in pieces of 100. Images that claim to be large are left out, since a few
   bytes can claim 2^32 lines, and the decoders believe them. */
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "jbig.h"
#include "jbig85.h"

enum { MOST = 1 << 16, PIECE = 100, SIDE = 256, PLANES = 4, HEADER = 20 };

static volatile unsigned sink;

static int line(const struct jbg85_dec_state *state, unsigned char *start, size_t size, unsigned long y, void *file) {
  (void)state, (void)file;
  for (size_t i = 0; i < size; i++) sink += start[i];
  sink += (unsigned)y;
  return 0;
}

static size_t merged(unsigned char *start, size_t size, void *file) {
  (void)file;
  for (size_t i = 0; i < size; i++) sink += start[i];
  return size;
}

static void put(unsigned char *start, size_t size, void *file) { merged(start, size, file); }

static void decode(unsigned char *bytes, size_t size) {
  struct jbg_dec_state state;
  int said = JBG_EAGAIN;
  jbg_dec_init(&state);
  jbg_dec_maxsize(&state, SIDE, SIDE);
  for (size_t at = 0, used; at < size && said == JBG_EAGAIN; at += used) {
    size_t piece = size - at < PIECE ? size - at : PIECE;
    said = jbg_dec_in(&state, bytes + at, piece, &used);
    if (!used) break;
  }
  if (said == JBG_EOK || said == JBG_EOK_INTR) {
    put(jbg_dec_getimage(&state, 0), jbg_dec_getsize(&state), NULL);
    jbg_dec_merge_planes(&state, 1, put, NULL);
  }
  jbg_dec_free(&state);
}

static void decode85(unsigned char *bytes, size_t size) {
  static unsigned char lines[MOST];
  struct jbg85_dec_state state;
  size_t used;
  jbg85_dec_init(&state, lines, sizeof lines, line, NULL);
  if (jbg85_dec_in(&state, bytes, size, &used) == JBG_EAGAIN) jbg85_dec_end(&state);
}

static uint32_t big32(const uint8_t *at) { return (uint32_t)at[0] << 24 | at[1] << 16 | at[2] << 8 | at[3]; }

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  static unsigned char bytes[MOST];
  if (size < HEADER || size > sizeof bytes) return 0;
  if (data[2] > PLANES || big32(data + 4) > SIDE || big32(data + 8) > SIDE) return 0;
  memcpy(bytes, data, size);
  decode(bytes, size);
  memcpy(bytes, data, size);
  decode85(bytes, size);
  memcpy(bytes, data, size);
  jbg_newlen(bytes, size);
  return 0;
}
