"""What a sweep still has to run, in which order, and what need not be run after all. Knows no processes.

The order spends a short budget well: sites that no earlier sweep tried come first; then breadth first, the most telling
fault of each site before the second of any, and lasting faults after the single ones; then allocations in the same
order. A lasting fault waits for its single one, which tells whether anything came later that could fail again. Pairs
come after all of these. Every fault ends in exactly one count: it is executed, taken over, skipped for a reason, or
left. Several threads may ask at a time.
"""

import threading
from collections import Counter, deque
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from inject.policy.names import ALLOCATION
from inject.sweeps.pairs import Pairing, Probe
from inject.sweeps.plan import Fault, is_same_as_once

AS_ONCE: Final = "nothing came later that could fail again"
HUNG: Final = "another lasting fault at this site hung, which is a finding already"

Moment = tuple[str, int, str]  # site, hit, name of the fault: what the single and the lasting one have in common
Task = Fault | Probe


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
    handled: bool = False  # the program came to an end of its own, and there was nothing to find
    findings: tuple[str, ...] = ()


def moment(fault: Fault) -> Moment:
    return fault.hit.site, fault.hit.nth, fault.name


def ordered(faults: Iterable[Fault], tried: Collection[str] = ()) -> list[Fault]:
    """`tried`: sites of earlier sweeps. Among equals the order of the plan."""
    rounds: Counter[tuple[str, bool]] = Counter()
    keyed = []
    for at, fault in enumerate(faults):
        site = (fault.first or fault).hit.site
        apart = fault.hit.syscall == ALLOCATION
        keyed.append(((site in tried, apart, fault.lasting, rounds[site, fault.lasting], at), fault))
        rounds[site, fault.lasting] += 1
    return [fault for _, fault in sorted(keyed, key=lambda pair: pair[0])]


@dataclass(slots=True)
class Schedule:
    """`planned`, `skips` and `taken_over` count faults: what is not executed and in neither of these is left."""

    todo: deque[Fault]
    pairing: Pairing | None = None  # None: no pairs are wanted
    known: Callable[[Fault], Record | None] = lambda fault: None  # by an earlier sweep that this one goes on with
    planned: int = 0
    taken_over: int = 0  # executed by that earlier sweep
    skips: Counter[str] = field(default_factory=Counter)
    later: dict[Moment, int] = field(default_factory=dict)  # of single faults that were run
    hung: set[str] = field(default_factory=set)  # sites
    under_way: set[Moment] = field(default_factory=set)
    running: int = 0
    probes: deque[Probe] = field(default_factory=deque)
    rank: dict[Moment, int] = field(default_factory=dict)  # in the plan
    paired: list[Fault] = field(default_factory=list)  # for when all else is done
    changed: threading.Condition = field(default_factory=threading.Condition)

    def take(self) -> Task | None:
        """The next thing to run, None at the end. Waits where all that is left depends on a run under way."""
        with self.changed:
            while True:
                task = self._next()
                if task is not None:
                    self.running += 1
                    if isinstance(task, Fault):
                        self.under_way.add(moment(task))
                    return task
                if not self.running:
                    return None
                self.changed.wait()

    def take_more(self, most: int, first: Fault) -> list[Fault]:
        """Beside `first`: faults that need not know what it shows. Lasting ones may hang, so one of each site; and an
        allocation shares no beginning with others, and comes after all of them."""
        if first.hit.syscall == ALLOCATION:
            return []
        taken = [first]
        passed: list[Fault] = []
        with self.changed:
            order = {id(fault): at for at, fault in enumerate(self.todo)}
            while len(taken) <= most and (fault := self._first()) is not None:
                again = fault.lasting and any(other.lasting and other.hit.site == fault.hit.site for other in taken)
                if again or fault.hit.syscall == ALLOCATION:
                    passed.append(fault)
                    continue
                self.running += 1
                self.under_way.add(moment(fault))
                taken.append(fault)
            self.todo = deque(sorted((*passed, *self.todo), key=lambda fault: order[id(fault)]))
        return taken[1:]

    def settle(self, fault: Fault, record: Record) -> None:
        """The run of a fault that was taken is over."""
        with self.changed:
            self._learn(fault, record)
            self._end(fault)

    def pair(self, task: Probe, seconds: Iterable[Fault]) -> None:
        """What the program does after a fault was looked at."""
        with self.changed:
            assert self.pairing is not None
            pairs = self.pairing.of(task.first, seconds)
            self.planned += len(pairs) + self.pairing.skips.total()
            self.skips.update(self.pairing.skips)
            self.pairing.skips.clear()
            self.paired += self._without_known(pairs)
            self._end(task)

    def give_up(self, task: Task) -> None:
        """It will not be run after all: a fault is left, and so is a look at what follows one."""
        with self.changed:
            if isinstance(task, Probe):
                self.probes.appendleft(task)
            self._end(task)

    def take_over(self, known: Callable[[Fault], Record | None]) -> None:
        """What an earlier run showed; each such fault needs no run of its own. Before the first is taken."""
        self.known = known
        self.todo = deque(self._without_known(self.todo))

    def _end(self, task: Task) -> None:
        self.running -= 1
        if isinstance(task, Fault):
            self.under_way.discard(moment(task))
        self.changed.notify_all()

    def _without_known(self, faults: Iterable[Fault]) -> list[Fault]:
        unknown = []
        for fault in faults:
            record = self.known(fault)
            if record is None:
                unknown.append(fault)
                continue
            self._learn(fault, record)
            self.taken_over += record.result is Result.STRUCK
        return unknown

    def _learn(self, fault: Fault, record: Record) -> None:
        if record.result is not Result.STRUCK:
            self.skips[record.result.value] += 1
        if fault.first is not None:
            return
        if not fault.lasting:
            self.later[moment(fault)] = record.later
        elif record.hung and record.findings:
            self.hung.add(fault.hit.site)
        if self.pairing is not None:
            if record.findings:
                self.pairing.found.add((fault.hit.site, fault.name))
            elif record.handled and not fault.lasting and fault.hit.syscall != ALLOCATION:
                self.probes.append(Probe(first=fault))

    def _next(self) -> Task | None:
        fault = self._first()
        if fault is not None or self.todo:
            return fault
        if self.probes:  # in the plan's order, so that a sweep that goes on chooses the pairs that the first one chose
            probe = min(self.probes, key=lambda each: self.rank.get(moment(each.first), 0))
            self.probes.remove(probe)
            return probe
        if self.paired and not self.running:
            self.todo = deque(ordered(self.paired))
            self.paired.clear()
            return self._first()
        return None

    def _first(self) -> Fault | None:
        """The first that is worth a run now; what is not worth any is skipped on the way."""
        waiting: list[Fault] = []
        found = None
        while self.todo and found is None:
            fault = self.todo.popleft()
            if fault.lasting and moment(fault) in self.under_way:
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


def schedule(
    faults: Collection[Fault], skips: Counter[str], tried: Collection[str] = (), pairing: Pairing | None = None
) -> Schedule:
    """Of a plan: its faults, and what it left out for its own reasons."""
    return Schedule(
        todo=deque(ordered(faults, tried)),
        pairing=pairing,
        planned=len(faults) + skips.total(),
        skips=Counter(skips),
        rank={moment(fault): at for at, fault in enumerate(faults) if not fault.lasting},
    )
