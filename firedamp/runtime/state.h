/* Our own variables in the target's library lie together, so that putting the target's back leaves them alone. */
#ifndef FIREDAMP_STATE_H
#define FIREDAMP_STATE_H

#define STATE __attribute__((section("firedamp_state")))

#endif
