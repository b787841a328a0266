"""Endings that are no crash by themselves: exit inside a harness, and signals that no other guard knows."""

from errno import EPIPE
from signal import Signals

from firedamp.finding import Detection, Severity
from firedamp.guards.fatal import HARDWARE, decisive_fatal, describe, name, raised_by_hardware
from firedamp.guards.guard import Armed, Guard
from firedamp.guards.place import helper_place, innermost_own, where
from firedamp.guards.stack_smash import is_stack_smash
from firedamp.outcome import Exited, Fatal, Killed, Outcome

HARNESS_ENTRY = "LLVMFuzzerTestOneInput"
OURS = frozenset({Signals.SIGKILL, Signals.SIGXFSZ, Signals.SIGXCPU})  # our limits on time, output and memory
FROM_OUTSIDE = frozenset({Signals.SIGHUP, Signals.SIGINT, Signals.SIGTERM})  # somebody ended the program
STANDARD = range(3)  # descriptors that whoever starts the program has chosen
NAMED = HARDWARE - {Signals.SIGTRAP} | {Signals.SIGABRT}  # other guards speak, where the processor or abort raised it


def judge_exit(outcome: Outcome) -> tuple[Detection, ...]:
    """A library must not end its caller: only inside a harness is an exit anybody's mistake."""
    ending = outcome.ending
    if not outcome.inside_harness or not isinstance(ending, Exited):
        return ()
    if all(frame.function != HARNESS_ENTRY for frame in outcome.exit_stack):
        return ()
    frame = innermost_own(outcome.exit_stack)
    return (
        Detection(
            guard=EXIT.name,
            kind="exit",
            cwe=705,
            severity=Severity.LOW,
            place=helper_place(outcome.exit_stack),
            frame=frame,
            message=f"{where(frame)} ended the process with status {ending.status}",
            evidence=(f"exit status {ending.status}",),
            stack=outcome.exit_stack,
        ),
    )


def judge_signal(outcome: Outcome) -> tuple[Detection, ...]:
    fatal = decisive_fatal(outcome)
    if any(strike.effect == "signal" for strike in outcome.strikes):
        return ()  # we sent one: what came of it is not the program's own doing
    if outcome.strikes and _ends_a_filter(outcome, fatal):
        return ()
    if fatal is not None:
        return () if _is_named(fatal) else _signal(fatal.signal, fatal)
    match outcome.ending:
        case Killed(signal=Signals.SIGXFSZ) if outcome.inside_harness:  # one input must not fill a disk
            return _signal(Signals.SIGXFSZ, None)
        case Killed(signal=number) if number not in OURS and (outcome.inside_harness or number not in FROM_OUTSIDE):
            return _signal(number, None)
        case _:
            return ()


def _ends_a_filter(outcome: Outcome, fatal: Fatal | None) -> bool:
    """SIGPIPE is how a filter is meant to end when nobody reads its output. Its own pipes and sockets are its own
    business."""
    if Signals.SIGPIPE not in (fatal.signal if fatal is not None else None, getattr(outcome.ending, "signal", None)):
        return False
    broken = [strike for strike in outcome.strikes if strike.errno == EPIPE]
    return bool(broken) and all(strike.fd in STANDARD for strike in broken)


def _is_named(fatal: Fatal) -> bool:
    if fatal.signal is Signals.SIGABRT or is_stack_smash(fatal) or fatal.stack_exhausted:
        return True
    return fatal.signal in NAMED and raised_by_hardware(fatal)


def _signal(number: int, fatal: Fatal | None) -> tuple[Detection, ...]:
    stack = fatal.stack if fatal is not None else ()
    frame = innermost_own(stack)
    return (
        Detection(
            guard=SIGNAL.name,
            kind=f"signal-{name(number)}",
            cwe=703,
            severity=Severity.LOW,
            place=helper_place(stack),
            frame=frame,
            message=f"ended by {name(number)}" + (f" in {where(frame)}" if frame is not None else ""),
            evidence=describe(fatal) if fatal is not None else (f"killed by signal {number}",),
            stack=stack,
        ),
    )


EXIT = Guard(name="exit", needs=frozenset({Armed.EXIT}), judge=judge_exit)
SIGNAL = Guard(name="signal", needs=frozenset({Armed.SIGNALS}), judge=judge_signal)
