"""Which deaths are worth a fresh process. One shallow bug kills hundreds of lives a minute; a fresh run costs 10-30 ms.

Inputs say nothing (one bug gave 122 crash files in 13 s) and a death shows only its signal, so the fresh runs
themselves are the measure: while they show nothing that was not seen before, fewer are made.
"""

from dataclasses import dataclass, field

from firedamp.outcome import Outcome

EAGER = 16  # repeats in a row before the first is left out
SPARSEST = 32  # at least every 32nd death is looked at, so that a rare bug behind a common one still shows


def fingerprint(outcome: Outcome) -> tuple[object, ...]:
    """What tells two outcomes apart without names: the ending and the innermost frames of the target's own code."""
    frames = outcome.fatals[-1].stack if outcome.fatals else outcome.stall_stack
    own = [frame for frame in frames if frame.own] or list(frames)
    return outcome.ending, *((frame.module, frame.offset) for frame in own[:3])


@dataclass(slots=True)
class _Stream:
    seen: set[tuple[object, ...]] = field(default_factory=set)
    repeats: int = 0  # fresh runs in a row that showed nothing new
    passed: int = 0  # deaths left out since the last fresh run


@dataclass(slots=True)
class Recurrence:
    """One stream per cause of death (the signal or exit status)."""

    skipped: int = 0
    _streams: dict[object, _Stream] = field(default_factory=dict)

    def worth(self, cause: object) -> bool:
        stream = self._streams.setdefault(cause, _Stream())
        interval = min(1 << (stream.repeats // EAGER), SPARSEST)
        if stream.passed + 1 < interval:
            stream.passed += 1
            self.skipped += 1
            return False
        stream.passed = 0
        return True

    def learn(self, cause: object, outcome: Outcome) -> None:
        stream = self._streams.setdefault(cause, _Stream())
        mark = fingerprint(outcome)
        stream.repeats = stream.repeats + 1 if mark in stream.seen else 0
        stream.seen.add(mark)
