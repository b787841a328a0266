"""The stack protector's canary was overwritten: GCC's and clang's -fstack-protector call __stack_chk_fail."""

from signal import Signals

from firedamp.finding import Detection, Severity
from firedamp.guards.fatal import decisive_fatal, detect
from firedamp.guards.guard import Armed, Guard
from firedamp.guards.place import caller_of, function_name, runtime_names, where
from firedamp.outcome import Fatal, Outcome

CHECKS = frozenset({"__stack_chk_fail", "__stack_chk_fail_local"})
CALLERS = CHECKS | {"__fortify_fail", "__libc_fatal"}
MESSAGE = "*** stack smashing detected ***"  # glibc debug/stack_chk_fail.c


def is_stack_smash(fatal: Fatal) -> bool:
    """libc says so in __abort_msg, or the check itself is running (a static binary, musl, a hidden check of ours)."""
    if fatal.abort_message:
        return fatal.signal is Signals.SIGABRT and fatal.abort_message.startswith(MESSAGE)
    return not CHECKS.isdisjoint(runtime_names(fatal.stack))


def judge(outcome: Outcome) -> tuple[Detection, ...]:
    fatal = decisive_fatal(outcome)
    if fatal is None or not is_stack_smash(fatal):
        return ()
    smashed = caller_of(fatal.stack, CALLERS)
    return detect(
        fatal,
        guard=GUARD.name,
        kind="stack-smash",
        cwe=121,
        severity=Severity.CRITICAL,
        message=f"canary of {where(smashed)} smashed",
        frame=smashed,
        at=(function_name(smashed),) if smashed is not None else (),  # what lies above is overwritten
    )


GUARD = Guard(name="stack_smash", needs=frozenset({Armed.CANARY, Armed.SIGNALS}), judge=judge)
