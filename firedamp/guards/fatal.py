"""The deadly signal that decides over a run, and how guards speak about it."""

from signal import Signals

from firedamp.finding import Detection, Severity
from firedamp.guards.place import crash_place, innermost_own
from firedamp.outcome import Exited, Fatal, Frame, Killed, Outcome
from firedamp.sanitizers import EXIT_STATUS

HARDWARE = frozenset({Signals.SIGSEGV, Signals.SIGBUS, Signals.SIGFPE, Signals.SIGILL, Signals.SIGTRAP})
MISBEHAVIOUR = HARDWARE | {Signals.SIGABRT, Signals.SIGSYS}


def decisive_fatal(outcome: Outcome) -> Fatal | None:
    """The first one in any process of the run that the program did not live through.

    A program may probe memory or raise SIGABRT under a handler of its own and then end well; but glibc's own message
    before an abort, that of our runtime, or another ending than 0, is no such game.
    """
    return next((fatal for fatal in outcome.fatals if not _survived(fatal, outcome)), None)


def _survived(fatal: Fatal, outcome: Outcome) -> bool:
    if fatal.signal not in MISBEHAVIOUR:  # a broken pipe or an alarm may well be how a parent ends its child
        return outcome.ending != Killed(signal=fatal.signal)
    if not fatal.handled or fatal.abort_message or fatal.format_misuse:
        return False
    inside = any(frame.function == "LLVMFuzzerTestOneInput" for frame in outcome.exit_stack)
    return outcome.ending == Exited(status=0) and not inside


def raised_by_hardware(fatal: Fatal) -> bool:
    """si_code above 0 is the kernel's own; kill(2), raise(3) and timers send 0 and below (sigaction(2))."""
    return fatal.code > 0


def sanitizer_ended(outcome: Outcome) -> bool:
    return bool(outcome.sanitizer_report) and outcome.ending == Exited(status=EXIT_STATUS)


def describe(fatal: Fatal) -> tuple[str, ...]:
    """Evidence: what the kernel and libc said."""
    address = "" if fatal.address is None else f", address 0x{fatal.address:x}"
    access = "" if fatal.access is None else f", {fatal.access.value}"
    handled = ", handled by the program" if fatal.handled else ""
    facts = [f"{name(fatal.signal)}, si_code {fatal.code}{address}{access}{handled}"]
    if fatal.abort_message:
        facts.append(f"abort message: {fatal.abort_message.strip()}")
    return tuple(facts)


def name(signal: int) -> str:
    try:
        return Signals(signal).name
    except ValueError:
        return f"SIGRT{signal}" if signal >= 32 else f"SIG{signal}"


def detect(
    fatal: Fatal,
    *,
    guard: str,
    kind: str,
    cwe: int,
    severity: Severity,
    message: str,
    frame: Frame | None = None,
    at: tuple[str, ...] | None = None,
) -> tuple[Detection, ...]:
    """One detection whose place is, unless said otherwise, the innermost frames of the program's own."""
    return (
        Detection(
            guard=guard,
            kind=kind,
            cwe=cwe,
            severity=severity,
            place=crash_place(fatal.stack) if at is None else at,
            frame=innermost_own(fatal.stack) if frame is None else frame,
            message=message,
            evidence=describe(fatal),
            stack=fatal.stack,
        ),
    )
