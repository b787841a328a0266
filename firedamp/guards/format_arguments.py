"""FormatGuard: a call of the printf family whose format asks for what was not given, or is itself part of the input.

The runtime in hardened builds stops the process before libc reads what is not there (firedamp/runtime/format.c).
"""

import json

from firedamp.finding import Detection, Severity
from firedamp.guards.fatal import decisive_fatal, detect
from firedamp.guards.guard import Armed, Guard
from firedamp.guards.place import crash_place, helper_place, innermost_own, runtime_names, where
from firedamp.outcome import Fatal, FormatMisuse, Outcome

STOP = "firedamp_stop"  # of firedamp/runtime/format.c: only there the facts are ours
CONTROLLED_FORMAT, WRONG_COUNT, WRONG_TYPE = 134, 685, 686  # CWE


def find_misuse(fatal: Fatal) -> FormatMisuse | None:
    return fatal.format_misuse if STOP in runtime_names(fatal.stack) else None


def judge(outcome: Outcome) -> tuple[Detection, ...]:
    fatal = decisive_fatal(outcome)
    misuse = find_misuse(fatal) if fatal is not None else None
    if fatal is None or misuse is None:
        return ()
    return detect(
        fatal,
        guard=GUARD.name,
        kind="format-arguments",
        cwe=_cwe(misuse),
        severity=Severity.MEDIUM if misuse.constant else Severity.HIGH,
        message=f"{_plain(misuse.call)} in {where(innermost_own(fatal.stack))}: {explain(misuse)}",
        # vprintf and its kind are for wrappers: the format came from their caller
        at=(helper_place if _plain(misuse.call).startswith("v") else crash_place)(fatal.stack),
    )


def explain(misuse: FormatMisuse) -> str:
    """`format asks for 2 arguments, 0 were given: "%s%s" (bytes 6-9 of the input)`"""
    asks = f"format asks for {_arguments(misuse.asked)}"
    text = json.dumps(misuse.format, ensure_ascii=False)
    return f"{asks}, {_given(misuse)}: {text}{_origin(misuse)}"


def _plain(call: str) -> str:
    """As the source calls it: FORTIFY makes __snprintf_chk of snprintf."""
    return call.removeprefix("__").removesuffix("_chk")


def _arguments(count: int) -> str:
    return f"{count} argument" + ("" if count == 1 else "s")


def _given(misuse: FormatMisuse) -> str:
    match misuse.given:
        case None:
            return "and comes from the input"
        case count if count < misuse.asked:
            return f"{count} {'was' if count == 1 else 'were'} given"
        case _:
            return f"and argument {misuse.argument} is of another type"


def _origin(misuse: FormatMisuse) -> str:
    if misuse.alike is None:
        return ""
    at, count = misuse.alike
    span = f"byte {at}" if count == 1 else f"bytes {at}-{at + count - 1}"
    return f" ({span} of {misuse.part if misuse.part.startswith('argument') else f'the {misuse.part}'})"


def _cwe(misuse: FormatMisuse) -> int:
    if not misuse.constant:
        return CONTROLLED_FORMAT
    return WRONG_COUNT if misuse.given is None or misuse.given < misuse.asked else WRONG_TYPE


GUARD = Guard(name="format_arguments", needs=frozenset({Armed.FORMATS, Armed.SIGNALS}), judge=judge)
