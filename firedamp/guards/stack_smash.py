"""The stack protector's canary was overwritten: GCC's and clang's -fstack-protector call __stack_chk_fail."""

from dataclasses import replace
from signal import Signals

from firedamp.finding import Detection, Severity
from firedamp.guards.fatal import decisive_fatal, detect
from firedamp.guards.guard import Armed, Guard
from firedamp.guards.place import caller_of, function_name, runtime_names, where
from firedamp.outcome import SMASHED, Fatal, Frame, Outcome, Smash
from firedamp.plural import counted

CHECKS = frozenset({"__stack_chk_fail", "__stack_chk_fail_local"})
CALLERS = CHECKS | {"__fortify_fail", "__libc_fatal"}
BEYOND = "the write did not end before the stack did: no canary was looked at"
UNKNOWN = "how far the write went is not known: the canary's place in the frame could not be read"


def is_stack_smash(fatal: Fatal) -> bool:
    """libc says so in __abort_msg, or the check itself is running (a static binary, musl, a hidden check of ours).

    Or the write did not end before the stack did, and so the function never came to its check.
    """
    if fatal.abort_message:
        return fatal.signal is Signals.SIGABRT and fatal.abort_message.startswith(SMASHED)
    return fatal.stack_overrun or not CHECKS.isdisjoint(runtime_names(fatal.stack))


def judge(outcome: Outcome) -> tuple[Detection, ...]:
    fatal = decisive_fatal(outcome)
    if fatal is None or not is_stack_smash(fatal):
        return ()
    smashed = caller_of(fatal.stack, CALLERS)
    smash = fatal.smash
    said = detect(
        fatal,
        guard=GUARD.name,
        kind="stack-smash",
        cwe=121,
        severity=Severity.CRITICAL,
        message=_message(fatal, smashed),
        frame=smashed,
        at=_place(smashed, smash),
    )
    evidence = (BEYOND,) if fatal.stack_overrun else describe_smash(smash) if smash is not None else (UNKNOWN,)
    return tuple(replace(each, evidence=(*each.evidence, *evidence), smash=smash) for each in said)


def _message(fatal: Fatal, smashed: Frame | None) -> str:
    if fatal.stack_overrun:
        return f"{where(smashed)} wrote over the whole stack above it, and on behind its end"
    return f"canary of {where(smashed)} smashed" + ("" if fatal.smash is None else brief(fatal.smash))


def _place(smashed: Frame | None, smash: Smash | None) -> tuple[str, ...]:
    """What lies above in the stack is overwritten. Where the function has several buffers, which of them ran over."""
    if smashed is None:
        return ()
    named = smash is not None and smash.proved and smash.among_several
    return (function_name(smashed), *((smash.buffer or "",) if smash is not None and named else ()))


def brief(smash: Smash) -> str:
    """For the message: `: 16-byte name[] ran over by at least 14 bytes, the canary is input[22:30]`."""
    facts = []
    if smash.proved:
        facts.append(f"{smash.buffer_bytes}-byte {smash.buffer} ran over by at least {_overrun(smash)}")
    if smash.canary_input is not None:
        facts.append(f"the canary is {span(smash.canary_input)}")
    return f": {', '.join(facts)}" if facts else ""


def describe_smash(smash: Smash) -> tuple[str, ...]:
    """What is known of the frame, and what is not."""
    several = ", the first of several places with these bytes" if smash.ambiguous else ""
    facts = [
        f"canary overwritten up to byte {smash.changed_bytes} of 8; it holds {bytes.fromhex(smash.found).hex(' ')}"
    ]
    if smash.buffer is None:
        facts.append("which buffer ran over is not known: no debug information names one below the canary")
    elif smash.proved:
        facts.append(f"{smash.buffer} of {smash.buffer_bytes} bytes ran over by at least {_overrun(smash)}")
    else:
        facts.append(
            f"{smash.buffer} of {smash.buffer_bytes} bytes lies next to the canary, which was overwritten up "
            f"to {_overrun(smash)} past its end; that it is the one that ran over is not shown"
        )
    if smash.canary_input is not None:
        facts.append(f"the canary is {span(smash.canary_input)}{several}")
    else:
        facts.append("the input does not hold what lies on the canary: how it got there is not known")
    if smash.return_input is not None:
        facts.append(f"the return address is {span(smash.return_input)}{several}")
    return tuple(facts)


def _overrun(smash: Smash) -> str:
    return counted(smash.overrun_bytes or 0, "byte")


def span(part: tuple[int, int]) -> str:
    return f"input[{part[0]}:{part[1]}]"


GUARD = Guard(name="stack_smash", needs=frozenset({Armed.CANARY, Armed.SIGNALS}), judge=judge)
