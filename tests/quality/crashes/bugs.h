/* A bug is what one fix repairs. -DFIXED=NAME repairs that one, -DFIXED=EVERYTHING all; -DONLY=NAME leaves that one.
   Without either, every condition with `fixed` folds away and what remains is the program as its author left it. */
#include <stddef.h>
#include <stdint.h>

enum { NOTHING = 0, EVERYTHING = -1 };
#ifndef FIXED
#define FIXED NOTHING
#endif
#ifdef ONLY
#define fixed(bug) ((bug) != ONLY)
#else
#define fixed(bug) (FIXED == (bug) || FIXED == EVERYTHING)
#endif
