"""Oracle of runs under faults: giving up a privilege failed, or randomness was refused, and the program went on.

Only calls that the program makes itself count: libc's own use of getrandom for its allocator has a fall-back. Many
programs have one of their own for kernels without getrandom, so that is a hint where what they leave behind does not
depend on chance.
"""

from firedamp.finding import Detection, Severity, Standing
from firedamp.guards.faults_effect import errno_name, evidence, fault_frame, fault_place, same_ending
from firedamp.guards.faults_touch import FAMILIES
from firedamp.guards.guard import Armed, Guard
from firedamp.guards.place import bare_name, where
from firedamp.outcome import Outcome, Strike

CALLS = frozenset(
    {*FAMILIES["setuid"], *FAMILIES["setgid"], "setgroups", "setfsuid", "setfsgid", "capset", "chroot", "getrandom"}
)
WRAPPERS = frozenset({"initgroups", "seteuid", "setegid", "getentropy", "syscall", "cap_set_proc", *CALLS})
DEPTH = 3  # wrapper, __nptl_setxid or the like, and the system call itself


def judge(outcome: Outcome) -> tuple[Detection, ...]:
    ignored = [strike for strike in outcome.strikes if strike.syscall in CALLS and strike.errno and _by_program(strike)]
    if not ignored or not same_ending(outcome):
        return ()
    strike = ignored[0]
    frame = fault_frame(strike)
    random = all(each.syscall == "getrandom" for each in ignored)
    return (
        Detection(
            guard=GUARD.name,
            kind="privilege",
            cwe=273,  # improper check for dropped privileges
            severity=Severity.HIGH,
            place=fault_place(strike),
            frame=frame,
            standing=Standing.HINT if random and not outcome.unstable else Standing.FINDING,
            message=f"{strike.syscall} {errno_name(strike.errno)} in {where(frame)} is ignored: "
            "the program goes on as if it had succeeded",
            evidence=evidence(outcome),
            stack=strike.stack,
        ),
    )


def _by_program(strike: Strike) -> bool:
    """Is everything between the system call and the program's own code a plain wrapper?"""
    for depth, frame in enumerate(strike.stack):
        if frame.own:
            return True
        if depth >= DEPTH or (depth and bare_name(frame).lstrip("_") not in WRAPPERS):
            return False
    return False


GUARD = Guard(name="faults-privilege", needs=frozenset({Armed.FAULTS}), judge=judge)
