/* A module is loaded from memory and played for a moment by the driver that makes no sound. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "mikmod.h"

enum { TICKS = 40, CHANNELS = 64 };

int LLVMFuzzerInitialize(int *argc, char ***argv) {
  (void)argc, (void)argv;
  MikMod_RegisterDriver(&drv_nos);
  MikMod_RegisterAllLoaders();
  if (MikMod_Init("")) abort();
  return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  MODULE *module = Player_LoadMem((const char *)data, (int)size, CHANNELS, 1);
  if (module) {
    Player_Start(module);
    for (int tick = 0; tick < TICKS && Player_Active(); tick++) MikMod_Update();
    Player_Stop();
    Player_Free(module);
  }
  return 0;
}
