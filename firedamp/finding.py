"""What the guards say of outcomes, and what is kept of it."""

import hashlib
from dataclasses import dataclass, field
from enum import StrEnum

from firedamp.outcome import Frame, Reach, Smash

OUT_OF_BOUNDS = frozenset(
    {
        *("ubsan-bounds", "ubsan-object-size", "ubsan-pointer-overflow", "asan-heap-buffer-overflow"),
        *("asan-stack-buffer-overflow", "asan-stack-buffer-underflow", "asan-dynamic-stack-buffer-overflow"),
        *("asan-global-buffer-overflow", "asan-container-overflow"),
    }
)


class Severity(StrEnum):
    CRITICAL = "critical"
    HIGH = "high"
    MEDIUM = "medium"
    LOW = "low"
    INFO = "info"


class Effect(StrEnum):
    """What whoever chooses the input may win."""

    TAKEOVER = "takeover"
    DENIAL = "denial-of-service"


class Standing(StrEnum):
    """How much a detection counts: only a FINDING makes the exit code 1."""

    FINDING = "finding"
    HINT = "hint"  # listed, no exit 1
    BENIGN = "benign"  # counted only


class State(StrEnum):
    NEW = "new"
    KNOWN = "known"
    FIXED = "fixed"
    UNCONFIRMED = "unconfirmed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Detection:
    """One guard's verdict on one outcome.

    `place` is the part of the identity that says where: functions with offsets, never addresses, input bytes or
    process numbers. `frame` is the failing check or access, for file and line.
    """

    guard: str
    kind: str
    cwe: int
    severity: Severity
    place: tuple[str, ...]
    frame: Frame | None = None
    standing: Standing = Standing.FINDING
    message: str = ""  # one line for a person
    evidence: tuple[str, ...] = ()
    stack: tuple[Frame, ...] = ()
    smash: Smash | None = None  # of a stack-smash whose frame could be read
    reach: Reach | None = None
    effect: Effect | None = None
    because: str = ""  # what makes it that effect

    def signature(self, target: str) -> str:
        return "\n".join((target, family(self.kind), *self.place))

    def identity(self, target: str) -> str:
        """Twelve hexadecimal digits: equal across runs and machines."""
        return hashlib.sha256(self.signature(target).encode("utf-8", "surrogateescape")).hexdigest()[:12]


def family(kind: str) -> str:
    """The part of a kind that belongs to the bug.

    What a wild pointer does - read, write, jump, hit the null page - is the input's choice. Which of two sanitizers
    sees an access out of bounds first, and in whose memory it lands, is the compiler's.
    """
    if kind in OUT_OF_BOUNDS:
        return "out-of-bounds"
    return "segv" if kind.startswith("segv-") else kind


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """Detections with one signature."""

    id: str
    target: str
    engine: str
    detection: Detection
    count: int
    confirmed: tuple[int, int]  # came back n of m times in fresh processes
    state: State
    reproducer: str  # absolute path
    first_seen: str  # ISO 8601, UTC
    last_seen: str = ""
    replay: tuple[str, ...] = field(default=())
