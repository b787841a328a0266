"""The fewest inputs that reach all that a corpus reaches. Pure, but for the door through which inputs are measured."""

import heapq
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from firedamp.target import Build, Target


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """What one input reached. `features` has one bit for each that any of the inputs reached."""

    path: Path
    size: int
    features: int
    survived: bool = True  # false: the process ended on it, and nothing is known


class Gauge(Protocol):
    """An engine that can say what inputs reach."""

    def measure(
        self, target: Target, build: Build | None, paths: tuple[Path, ...], stopping: Callable[[], bool]
    ) -> tuple[Measured, ...]:
        """In the order of `paths`; fewer where `stopping` came true."""


def cover(measured: Iterable[Measured]) -> frozenset[Path]:
    """Greedy, as all who face this do (Chvatal 1979): whichever adds most, of equal ones the smallest.

    The gain of an input only falls while others are taken, so the best of the heap is right once it was counted anew.
    """
    covered, kept = 0, set()
    heap = [(-each.features.bit_count(), each.size, each.path.name, each) for each in measured if each.features]
    heapq.heapify(heap)
    while heap:
        gain, size, name, each = heapq.heappop(heap)
        now = -(each.features & ~covered).bit_count()
        if now == gain:
            kept.add(each.path)
            covered |= each.features
        elif now:
            heapq.heappush(heap, (now, size, name, each))
    return frozenset(kept)
