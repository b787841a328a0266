"""AddressSanitizer and UBSan: their report from a log file of ours, together with the exit status that we gave them."""

import re
from dataclasses import dataclass

from firedamp.finding import Detection, Severity
from firedamp.guards.fatal import sanitizer_ended
from firedamp.guards.guard import Armed, Guard
from firedamp.guards.place import crash_place, function_name, innermost_own, where
from firedamp.outcome import Outcome

ADDRESS = re.compile(r"==\d+==\s*ERROR: AddressSanitizer: (?P<rest>.+)")
ACCESS = re.compile(r"^(READ|WRITE) of size \d+", re.MULTILINE)
BEHAVIOUR = re.compile(r"(?:^|\s)runtime error: (?P<what>.+)")
REPORT_LINES = 12
OTHER = "other"

# asan_errors.h and asan_errors.cpp of compiler-rt: how a report begins -> type
ADDRESS_TYPES = (
    ("attempting double-free", "double-free"),
    ("attempting free on address which was not malloc", "bad-free"),
    ("specified alignment", "invalid-alignment"),
    ("requested allocation size", "allocation-size-too-big"),
    ("calloc parameters overflow", "calloc-overflow"),
    ("reallocarray parameters overflow", "reallocarray-overflow"),
    ("attempting to call malloc_usable_size", "bad-malloc_usable_size"),
    ("invalid alignment", "invalid-alignment"),
    ("out of memory", "out-of-memory"),
    ("allocator is out of memory", "out-of-memory"),
)
TYPE = re.compile(r"[a-zA-Z][\w+-]*")  # else the first word: heap-buffer-overflow, memcpy-param-overlap ...
ADDRESS_CWES = {
    "heap-buffer-overflow": 122,
    "stack-buffer-overflow": 121,
    "stack-buffer-underflow": 124,
    "dynamic-stack-buffer-overflow": 121,
    "global-buffer-overflow": 787,
    "container-overflow": 787,
    "heap-use-after-free": 416,
    "stack-use-after-return": 562,
    "stack-use-after-scope": 825,
    "use-after-poison": 416,
    "double-free": 415,
    "bad-free": 590,
    "alloc-dealloc-mismatch": 762,
    "allocation-size-too-big": 789,
    "out-of-memory": 770,
    "negative-size-param": 195,
    "calloc-overflow": 190,
    "reallocarray-overflow": 190,
    "memcpy-param-overlap": 475,
    "strcpy-param-overlap": 475,
    "strncpy-param-overlap": 475,
    "strcat-param-overlap": 475,
}

# ubsan_handlers.cpp of compiler-rt and its copy in GCC: what a sentence holds -> -fsanitize= name, CWE
BEHAVIOUR_TYPES = (
    (r"signed integer overflow", "signed-integer-overflow", 190),
    (r"unsigned integer overflow", "unsigned-integer-overflow", 190),
    (r"negation of .* cannot be represented", "signed-integer-overflow", 190),
    (r"division by zero", "integer-divide-by-zero", 369),
    (r"division of .* cannot be represented", "signed-integer-overflow", 190),
    (r"shift exponent|left shift of", "shift", 1335),
    (r"index .* out of bounds", "bounds", 129),
    (r"null pointer passed as argument|null pointer returned", "nonnull-attribute", 476),
    (r"applying (zero|non-zero) offset|pointer index expression|addition of unsigned offset", "pointer-overflow", 823),
    (r"subtraction of unsigned offset", "pointer-overflow", 823),
    (r"(access within|store to|load of|call on|binding to) null pointer|null pointer of type", "null", 476),
    (r"misaligned (address|pointer)", "alignment", 704),
    (r"load of address .*insufficient space", "object-size", 125),
    (r"insufficient space for an object|with insufficient space", "object-size", 787),
    (r"load of value .* not a valid value for type '_?[Bb]ool'", "bool", 704),
    (r"load of value .* not a valid value for type", "enum", 704),
    (r"variable length array bound evaluates to non-positive", "vla-bound", 1284),
    (r"call to function .* through pointer to incorrect function type", "function", 843),
    (r"execution reached an unreachable program point", "unreachable", 758),
    (r"execution reached the end of a value-returning function", "return", 758),
    (r"is outside the range of representable values", "float-cast-overflow", 681),
    (r"passing zero to .*(ctz|clz)", "builtin", 758),
    (r"alignment assumption|assumption of", "alignment", 704),
    (r"implicit conversion", "implicit-conversion", 681),
)
CRITICAL = frozenset({"heap-use-after-free", "double-free", "use-after-poison"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    kind: str
    cwe: int
    severity: Severity
    says: str


def judge(outcome: Outcome) -> tuple[Detection, ...]:
    verdict = read_verdict(outcome.sanitizer_report) if sanitizer_ended(outcome) else None
    if verdict is None:
        return ()
    frame = innermost_own(outcome.sanitizer_stack)
    lines = tuple(line for line in outcome.sanitizer_report.splitlines() if line.strip(" ="))
    return (
        Detection(
            guard=GUARD.name,
            kind=verdict.kind,
            cwe=verdict.cwe,
            severity=verdict.severity,
            place=_place(outcome),
            frame=frame,
            message=f"{verdict.says} in {where(frame)}",
            evidence=lines[:REPORT_LINES],
            stack=outcome.sanitizer_stack,
        ),
    )


def _place(outcome: Outcome) -> tuple[str, ...]:
    """Of memory used after it was freed: the function that used it, at whatever line, and where it was freed."""
    used = innermost_own(outcome.sanitizer_stack)
    if used is None or not outcome.sanitizer_freed:
        return crash_place(outcome.sanitizer_stack)
    return (used.within or function_name(used), *crash_place(outcome.sanitizer_freed))


def read_verdict(report: str) -> Verdict | None:
    """The first complaint of a report, by its place in the text."""
    address, behaviour = ADDRESS.search(report), BEHAVIOUR.search(report)
    if behaviour is not None and (address is None or behaviour.start() < address.start()):
        return _behaviour(behaviour["what"].strip())
    return None if address is None else _address(address["rest"], report[address.end() :])


def _address(rest: str, after: str) -> Verdict:
    kind = next((kind for start, kind in ADDRESS_TYPES if rest.startswith(start)), None)
    word = TYPE.match(rest)
    kind = kind or (word.group() if word else OTHER)
    access = ACCESS.search(after)
    writes = access is not None and access.group(1) == "WRITE"
    cwe = ADDRESS_CWES.get(kind, 119)
    if kind.endswith(("buffer-overflow", "container-overflow")) and access is not None and not writes:
        cwe = 125
    return Verdict(
        kind=f"asan-{kind}",
        cwe=cwe,
        severity=Severity.CRITICAL if writes or kind in CRITICAL else Severity.HIGH,
        says=kind + (f" ({access.group()})" if access is not None else ""),
    )


def _behaviour(what: str) -> Verdict:
    name, cwe = next(((name, cwe) for pattern, name, cwe in BEHAVIOUR_TYPES if re.search(pattern, what)), (OTHER, 758))
    return Verdict(kind=f"ubsan-{name}", cwe=cwe, severity=Severity.MEDIUM, says=what)


GUARD = Guard(name="sanitizer", needs=frozenset({Armed.SANITIZER}), judge=judge)
