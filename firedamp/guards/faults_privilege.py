"""Oracle of runs under faults: giving up a privilege failed, or randomness was refused, and the program went on.

Only calls that the program makes itself count: libc's own use of getrandom for its allocator has a fall-back. Many
programs have one of their own for kernels without getrandom or without /dev/urandom, so that is a hint where what
they leave behind does not depend on chance, or where they fail when no source is left.
"""

from firedamp.finding import Detection, Severity, Standing
from firedamp.guards.faults_effect import errno_name, evidence, fault_frame, fault_place, same_ending
from firedamp.guards.faults_touch import FAMILIES, family
from firedamp.guards.guard import Armed, Guard
from firedamp.guards.place import bare_name, where
from firedamp.outcome import Outcome, Strike

CALLS = frozenset(
    {*FAMILIES["setuid"], *FAMILIES["setgid"], "setgroups", "setfsuid", "setfsgid", "capset", "chroot", "getrandom"}
)
WRAPPERS = frozenset({"initgroups", "seteuid", "setegid", "getentropy", "syscall", "cap_set_proc", *CALLS})
DEVICES = frozenset({"/dev/urandom", "/dev/random"})  # random(4)
DEPTH = 3  # wrapper, __nptl_setxid or the like, and the system call itself


def judge(outcome: Outcome) -> tuple[Detection, ...]:
    ignored = _refused(outcome)
    if not ignored or not same_ending(outcome):
        return ()
    strike = ignored[0]
    frame = fault_frame(strike)
    return (
        Detection(
            guard=GUARD.name,
            kind="privilege",
            cwe=273,  # improper check for dropped privileges
            severity=Severity.HIGH,
            place=fault_place(strike),
            frame=frame,
            standing=Standing.HINT
            if random(outcome) and (outcome.random_elsewhere or not outcome.unstable)
            else Standing.FINDING,
            message=f"{strike.syscall} {errno_name(strike.errno)} in {where(frame)} is ignored: "
            "the program goes on as if it had succeeded",
            evidence=evidence(outcome),
            stack=strike.stack,
        ),
    )


def random(outcome: Outcome) -> bool:
    """Was it nothing but randomness that was refused?"""
    refused = _refused(outcome)
    return bool(refused) and all(strike.syscall == "getrandom" or _of_device(strike) for strike in refused)


def _refused(outcome: Outcome) -> tuple[Strike, ...]:
    return tuple(
        strike
        for strike in outcome.strikes
        if strike.errno and ((strike.syscall in CALLS and _by_program(strike)) or _of_device(strike))
    )


def _of_device(strike: Strike) -> bool:
    """It may be opened by fopen(3); the C library does so by itself only where there is no getrandom."""
    return strike.path in DEVICES and family(strike.syscall) in ("open", "read") and fault_frame(strike) is not None


def _by_program(strike: Strike) -> bool:
    """Is everything between the system call and the program's own code a plain wrapper?"""
    for depth, frame in enumerate(strike.stack):
        if frame.own:
            return True
        if depth >= DEPTH or (depth and bare_name(frame).lstrip("_") not in WRAPPERS):
            return False
    return False


GUARD = Guard(name="faults-privilege", needs=frozenset({Armed.FAULTS}), judge=judge)
