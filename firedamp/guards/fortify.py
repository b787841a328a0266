"""What FORTIFY's __*_chk functions refuse: a write past an object of known size, and two misuses of formats."""

import re
from dataclasses import dataclass

from firedamp.finding import Detection, Severity
from firedamp.guards.fatal import decisive_fatal, detect
from firedamp.guards.guard import Armed, Guard
from firedamp.guards.place import innermost_own, runtime_names, where
from firedamp.outcome import Fatal, Outcome

CHECK = re.compile(r"__\w+_chk")
DESCRIPTOR_SET = frozenset({"__fdelt_chk", "__fdelt_warn"})  # FD_SET(3): checks a number, no object's size
FAILURE = "__chk_fail"  # the common end of all of them, not the check that failed
STRINGS = re.compile(r"__(v?sn?printf|st[rp]|wc[sp]|gets|fgets|getwd|realpath|v?swprintf)\w*")


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """One message of glibc and what it means."""

    starts: tuple[str, ...]
    kind: str
    severity: Severity
    says: str


REFUSALS = (
    Refusal(
        starts=("*** buffer overflow detected ***",),  # debug/chk_fail.c
        kind="fortify-overflow",
        severity=Severity.HIGH,
        says="writes past its buffer",
    ),
    Refusal(
        starts=("*** %n in writable segment",),  # stdio-common/vfprintf-internal.c
        kind="fortify-percent-n",
        severity=Severity.HIGH,
        says="gets %n in a format that the program can write",
    ),
    Refusal(
        starts=("*** invalid %N$ use detected ***",),  # stdio-common/vfprintf-internal.c
        kind="fortify-format-hole",
        severity=Severity.MEDIUM,
        says="gets a format whose numbered arguments have a gap",
    ),
)


def find_refusal(fatal: Fatal) -> Refusal | None:
    """By libc's own message; a static binary without one shows the check on its stack."""
    message = fatal.abort_message
    if not DESCRIPTOR_SET.isdisjoint(runtime_names(fatal.stack)):
        return None
    if message:
        return next((refusal for refusal in REFUSALS if message.startswith(refusal.starts)), None)
    return REFUSALS[0] if FAILURE in runtime_names(fatal.stack) else None


def judge(outcome: Outcome) -> tuple[Detection, ...]:
    fatal = decisive_fatal(outcome)
    refusal = find_refusal(fatal) if fatal is not None else None
    if fatal is None or refusal is None:
        return ()
    check = failed_check(fatal)
    return detect(
        fatal,
        guard=GUARD.name,
        kind=refusal.kind,
        cwe=_cwe(refusal, check),
        severity=refusal.severity,
        message=f"{check or 'a checked function'} {refusal.says} in {where(innermost_own(fatal.stack))}",
    )


def failed_check(fatal: Fatal) -> str | None:
    """The outermost __*_chk of libc: the one that the program called."""
    names = [name for name in runtime_names(fatal.stack) if name != FAILURE and CHECK.fullmatch(name)]
    return names[-1] if names else None


def _cwe(refusal: Refusal, check: str | None) -> int:
    if refusal.kind != "fortify-overflow":
        return 134
    return 120 if check is None or STRINGS.match(check) else 787  # a copy without looking at the size, or any write


GUARD = Guard(name="fortify", needs=frozenset({Armed.FORTIFY, Armed.SIGNALS}), judge=judge)
