"""What a sweep still has to run, in which order, and what need not be run after all. Knows no processes.

The order spends a short budget well: sites that no earlier sweep tried come first; then breadth first, the most telling
fault of each site before the second of any, and lasting faults after the single ones; then allocations in the same
order. A lasting fault waits for its single one, which tells whether anything came later that could fail again. Every
fault ends in exactly one count: it is executed, skipped for a reason, or left. Several threads may ask at a time.
"""

import threading
from collections import Counter, deque
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from inject.policy.names import ALLOCATION
from inject.sweep import Fault, is_same_as_once

AS_ONCE: Final = "nothing came later that could fail again"
HUNG: Final = "another lasting fault at this site hung, which is a finding already"

Moment = tuple[str, int, str]  # site, hit, name of the fault: what the single and the lasting one have in common


class Result(StrEnum):
    """Of one run; all but the first are reasons to skip its fault."""

    STRUCK = "struck"
    NOT_REACHED = "not reached"
    NOT_TAKEN = "did not take"


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """What a run showed, as far as it matters to other runs. `findings` are identities."""

    result: Result
    later: int = 0  # calls that its rules name, after the strike
    hung: bool = False
    findings: tuple[str, ...] = ()


def moment(fault: Fault) -> Moment:
    return fault.hit.site, fault.hit.nth, fault.name


def ordered(faults: Iterable[Fault], tried: Collection[str] = ()) -> list[Fault]:
    """`tried`: sites of earlier sweeps. Among equals the order of the plan."""
    rounds: Counter[tuple[str, bool]] = Counter()
    keyed = []
    for at, fault in enumerate(faults):
        site = fault.hit.site
        apart = fault.hit.syscall == ALLOCATION
        keyed.append(((site in tried, apart, fault.lasting, rounds[site, fault.lasting], at), fault))
        rounds[site, fault.lasting] += 1
    return [fault for _, fault in sorted(keyed, key=lambda pair: pair[0])]


@dataclass(slots=True)
class Schedule:
    """`planned`, `skips` and `taken_over` count faults: what is not executed and in neither of these is left."""

    todo: deque[Fault]
    planned: int = 0
    taken_over: int = 0  # executed by an earlier sweep that this one goes on with
    skips: Counter[str] = field(default_factory=Counter)
    later: dict[Moment, int] = field(default_factory=dict)  # of single faults that were run
    hung: set[str] = field(default_factory=set)  # sites
    running: set[Moment] = field(default_factory=set)
    changed: threading.Condition = field(default_factory=threading.Condition)

    def take(self) -> Fault | None:
        """The next fault to run, None at the end. Waits where all that is left depends on a run under way."""
        with self.changed:
            while True:
                fault = self._first()
                if fault is not None:
                    self.running.add(moment(fault))
                    return fault
                if not self.todo and not self.running:
                    return None
                self.changed.wait()

    def settle(self, fault: Fault, record: Record) -> None:
        """The run of a fault that was taken is over."""
        with self.changed:
            self.running.discard(moment(fault))
            self._learn(fault, record)
            self.changed.notify_all()

    def give_up(self, fault: Fault) -> None:
        """It will not be run after all: it is left."""
        with self.changed:
            self.running.discard(moment(fault))
            self.changed.notify_all()

    def _learn(self, fault: Fault, record: Record) -> None:
        if record.result is not Result.STRUCK:
            self.skips[record.result.value] += 1
        if not fault.lasting:
            self.later[moment(fault)] = record.later
        elif record.hung and record.findings:
            self.hung.add(fault.hit.site)

    def take_over(self, known: Mapping[str, Record], key: Callable[[Fault], str]) -> None:
        """What an earlier run showed; each such fault needs no run of its own. Before the first is taken."""
        todo = deque[Fault]()
        for fault in self.todo:
            record = known.get(key(fault))
            if record is None:
                todo.append(fault)
                continue
            self._learn(fault, record)
            self.taken_over += record.result is Result.STRUCK
        self.todo = todo

    def _first(self) -> Fault | None:
        """The first that is worth a run now; what is not worth any is skipped on the way."""
        waiting: list[Fault] = []
        found = None
        while self.todo and found is None:
            fault = self.todo.popleft()
            if fault.lasting and moment(fault) in self.running:
                waiting.append(fault)
            elif (reason := self._moot(fault)) is not None:
                self.skips[reason] += 1
            else:
                found = fault
        self.todo.extendleft(reversed(waiting))
        return found

    def _moot(self, fault: Fault) -> str | None:
        if not fault.lasting:
            return None
        if fault.hit.site in self.hung:
            return HUNG
        later = self.later.get(moment(fault))
        return AS_ONCE if later is not None and is_same_as_once(fault, later) else None


def schedule(faults: Collection[Fault], skips: Counter[str], tried: Collection[str] = ()) -> Schedule:
    """Of a plan: its faults, and what it left out for its own reasons."""
    return Schedule(todo=deque(ordered(faults, tried)), planned=len(faults) + skips.total(), skips=Counter(skips))
