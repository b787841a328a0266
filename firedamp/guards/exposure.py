"""The two axes that a finding is filed by: whose input reaches it, and what that one wins.

Reach is what the target's owner says, or what its way in makes likely. Effect is takeover where memory is written,
freed or run that should not be, and denial of service where the program merely ends; `because` says what was shown,
and what only the kind suggests.
"""

from dataclasses import replace

from firedamp.finding import Detection, Effect
from firedamp.guards.fatal import decisive_fatal
from firedamp.outcome import Outcome

NOT_SHOWN = "that the input chooses what is written is not shown"
WRITES = frozenset({119, 120, 121, 122, 124, 787})
LIFETIMES = frozenset({415, 416, 562, 590, 762, 825})  # freed twice, used after its end, never allocated
SEMANTIC = frozenset(
    {
        *("silent-success", "swallowed-error", "wrong-state", "fd-leak", "leftover-file", "double-close"),
        *("stale-descriptor", "wrong-message", "mute-failure"),
    }
)


def exposed(detection: Detection, outcome: Outcome) -> Detection:
    """With both axes; effect is None for what neither takes a program over nor ends it."""
    found = _effect(detection, outcome)
    effect, because = (None, "") if found is None else found
    return replace(detection, reach=outcome.reach, effect=effect, because=because)


def _effect(detection: Detection, outcome: Outcome) -> tuple[Effect, str] | None:
    kind = detection.kind
    match kind:
        case _ if kind in SEMANTIC:
            return None
        case "stack-smash":
            return Effect.TAKEOVER, _smashed(detection)
        case "segv-write" | "segv-exec":
            return Effect.TAKEOVER, _aimed(kind, outcome)
        case "fortify-overflow":
            return Effect.TAKEOVER, f"without the check it would write past its buffer; {NOT_SHOWN}"
        case "heap-corruption":
            return Effect.TAKEOVER, f"memory of malloc's was written or freed that should not be; {NOT_SHOWN}"
        case "privilege":
            return Effect.TAKEOVER, "the program goes on with rights that it meant to give up"
        case _ if detection.cwe == 134:
            return Effect.TAKEOVER, "who chooses a format writes by %n and reads by %s"
        case _ if kind.startswith("asan-"):
            return _sanitized(detection)
        case _ if kind.startswith("ubsan-"):
            if detection.cwe in WRITES:
                return Effect.TAKEOVER, f"memory past an object is written; {NOT_SHOWN}"
            return Effect.DENIAL, "what undefined behaviour leads to is the compiler's choice; more is not shown"
        case _:
            return Effect.DENIAL, "the program ends or hangs"


def _smashed(detection: Detection) -> str:
    smash = detection.smash
    if smash is not None and smash.return_input is not None:
        return "the input's bytes lie on the return address"
    if smash is not None and smash.canary_input is not None:
        return "the input's bytes lie on the canary, and the return address lies behind it"
    return f"a write reached the canary; {NOT_SHOWN}"


def _aimed(kind: str, outcome: Outcome) -> str:
    fatal = decisive_fatal(outcome)
    what = "jumped" if kind == "segv-exec" else "wrote"
    if fatal is not None and fatal.address_input is not None:
        start, end = fatal.address_input
        return f"the input chose the address to which it {what}: input[{start}:{end}]"
    return f"it {what} where it should not; that the input chooses the address is not shown"


def _sanitized(detection: Detection) -> tuple[Effect, str]:
    if detection.cwe in LIFETIMES:
        return Effect.TAKEOVER, f"memory is used after its end; {NOT_SHOWN}"
    if detection.cwe in WRITES:
        return Effect.TAKEOVER, f"memory past an object is written; {NOT_SHOWN}"
    return Effect.DENIAL, "memory is read only, as far as was seen; what is read may leak"
