"""abort: by libc for a reason of its own (a corrupt stdio handle, longjmp to a dead frame), or by the program."""

import re
from signal import Signals

from firedamp.finding import Detection, Severity
from firedamp.guards.assertion import CHECKS as ASSERTIONS
from firedamp.guards.assertion import parse_assertion
from firedamp.guards.fatal import decisive_fatal, detect
from firedamp.guards.fortify import find_refusal
from firedamp.guards.guard import Armed, Guard
from firedamp.guards.heap import heap_complaint
from firedamp.guards.place import helper_place, innermost_own, runtime_names, where
from firedamp.guards.stack_smash import is_stack_smash
from firedamp.outcome import Fatal, Outcome

LIBC_ENDS = frozenset({"__libc_fatal", "__fortify_fail", "__libc_message"})
# What the message means, where it is known: a frame that has returned, a descriptor beyond FD_SETSIZE.
WEAKNESSES = ((re.compile(r"\*\*\* longjmp causes uninitialized stack frame"), 562), (re.compile(r".* on fd_set"), 787))
OTHER_WEAKNESS = 664


def judge_glibc_fatal(outcome: Outcome) -> tuple[Detection, ...]:
    fatal = decisive_fatal(outcome)
    if fatal is None or not _is_abort(fatal) or _is_specific(fatal):
        return ()
    message = (fatal.abort_message or "").strip()
    if not message and LIBC_ENDS.isdisjoint(runtime_names(fatal.stack)):
        return ()
    return detect(
        fatal,
        guard=GLIBC_FATAL.name,
        kind="glibc-fatal",
        cwe=next((cwe for pattern, cwe in WEAKNESSES if pattern.match(message)), OTHER_WEAKNESS),
        severity=Severity.HIGH,
        message=f"libc gave up in {where(innermost_own(fatal.stack))}: {message or 'without a message'}",
    )


def judge_abort(outcome: Outcome) -> tuple[Detection, ...]:
    """The program itself called abort(3), or raised SIGABRT."""
    fatal = decisive_fatal(outcome)
    if fatal is None or not _is_abort(fatal) or _is_specific(fatal) or fatal.abort_message:
        return ()
    if not LIBC_ENDS.isdisjoint(runtime_names(fatal.stack)):
        return ()
    return detect(
        fatal,
        guard=ABORT.name,
        kind="abort",
        cwe=617,
        severity=Severity.MEDIUM,
        message=f"{where(innermost_own(fatal.stack))} called abort",
        at=helper_place(fatal.stack),
    )


def _is_abort(fatal: Fatal) -> bool:
    return fatal.signal is Signals.SIGABRT


def _is_specific(fatal: Fatal) -> bool:
    """A guard that knows more speaks."""
    return (
        is_stack_smash(fatal)
        or find_refusal(fatal) is not None
        or heap_complaint(fatal) is not None
        or parse_assertion(fatal.abort_message or "") is not None
        or not ASSERTIONS.isdisjoint(runtime_names(fatal.stack))
    )


GLIBC_FATAL = Guard(name="glibc_fatal", needs=frozenset({Armed.SIGNALS}), judge=judge_glibc_fatal)
ABORT = Guard(name="abort", needs=frozenset({Armed.SIGNALS}), judge=judge_abort)
