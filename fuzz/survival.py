"""Which of the detections that a fuzzing process survived are worth a fresh process, and in which order.

A fresh run costs 10-30 ms while thousands of detections a second are survived. What was never seen comes first; a
further input of a known signature may show another bug behind the same place, and gets a share of the time only.
"""

import threading
import time
from collections import Counter, deque
from dataclasses import dataclass, field

from fuzz.events import Events, Signature, Survived

SHARE = 0.1  # of the time, for inputs whose signature was looked at before
DOUBTS = 3  # lives that one signature may cost by showing nothing outside of them


@dataclass(frozen=True, slots=True, kw_only=True)
class Sighting:
    worker: int
    survived: Survived


@dataclass(slots=True)
class Survivals:
    """Over all workers of a search: they share the signatures of one library."""

    doubted: int = 0  # inputs that did nothing in a fresh process
    _fresh: dict[Signature, Sighting] = field(default_factory=dict)
    _known: deque[Sighting] = field(default_factory=deque)
    _looked: set[Signature] = field(default_factory=set)
    _doubts: Counter[Signature] = field(default_factory=Counter)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _since: float = field(default_factory=time.monotonic)
    _spent_s: float = 0.0

    @property
    def unseen(self) -> int:
        """Signatures that nobody has looked at."""
        return len(self._fresh)

    def gather(self, worker: int, events: Events) -> list[Survived]:
        """Empties the worker's slots; what is new in them. Any thread may call it."""
        new: list[Survived] = []
        with self._lock:
            while (survived := events.take()) is not None:
                sighting = Sighting(worker=worker, survived=survived)
                if survived.signature in self._looked or survived.signature in self._fresh:
                    self._known.append(sighting)
                else:
                    self._fresh[survived.signature] = sighting
                    new.append(survived)
        return new

    def next(self, *, fresh_only: bool = False) -> Sighting | None:
        """What is to be looked at now."""
        if self._fresh:
            return self._fresh.pop(next(iter(self._fresh)))
        if not fresh_only and self._known and self._spent_s <= SHARE * (time.monotonic() - self._since):
            return self._known.popleft()
        return None

    def looked(self, sighting: Sighting, spent_s: float) -> None:
        """A fresh process was asked, and took so long."""
        if sighting.survived.signature in self._looked:
            self._spent_s += spent_s
        self._looked.add(sighting.survived.signature)

    def doubt(self, sighting: Sighting) -> int:
        """The fresh process showed nothing: how often that was so with this signature."""
        self.doubted += 1
        self._doubts[sighting.survived.signature] += 1
        return self._doubts[sighting.survived.signature]
