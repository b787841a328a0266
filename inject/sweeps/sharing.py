"""Snapshots in a sweep: which faults share a beginning, what their runs show, and what a person is told about it.

What a snapshot shows is believed only where nothing is wrong; whatever is suspicious is run again from the start, and
that run is judged. So a copy of a process that fares otherwise than a process of its own costs time and no false
finding; how often that happened is said.
"""

from collections import Counter
from collections.abc import Collection, Generator, Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import groupby
from typing import Final

from firedamp import guards
from firedamp.finding import Standing
from firedamp.outcome import Outcome
from firedamp.run import Bench
from firedamp.trace.protocol import Left, Verdict
from inject.decide.decider import DecisionReport
from inject.faulted import beside, fault_limits, is_watchable
from inject.observe.clean import Clean, with_scene
from inject.policy import Policy
from inject.policy.names import ALLOCATION
from inject.sweeps.plan import Fault
from inject.sweeps.snapshots import branching

MOST_AT_ONCE: Final = 64  # runs of one beginning: it is a sixty-fourth of the cost then, and the order still counts
LEAST_AT_ONCE: Final = 3  # the beginning is a run as well


@dataclass(slots=True)
class Sharing:
    """What came of the snapshots of one sweep. `wanted`: they are worth trying."""

    wanted: bool = True
    snapshots: int = 0
    suspected: int = 0
    unlike: int = 0  # of those: another thing was wrong, or nothing, in the run from the start
    left: Counter[str] = field(default_factory=Counter)  # reason -> runs that needed a process of their own

    def compare(self, suspected: frozenset[str], found: frozenset[str]) -> None:
        """What was wrong with a snapshot, and with the same run from the start."""
        self.suspected += 1
        self.unlike += suspected != found

    def leave(self, left: Left, asked: int) -> None:
        """Of `asked` runs. A program of which nothing can be copied is not asked again."""
        self.left.update(reason for _, reason in left.reasons)
        self.wanted &= len(left.reasons) < asked

    def notes(self) -> Iterator[str]:
        if not self.snapshots:
            return  # a sweep without any is the ordinary one
        again = f"; of these that looked wrong, {self.suspected}, each was run from its start as well"
        unlike = f", where {self.unlike} looked otherwise" if self.unlike else ""
        shared = f"{_runs(self.snapshots)} shared their beginning with others"
        yield shared + (again if self.suspected else "") + unlike
        for reason, count in self.left.most_common():
            yield f"{_runs(count)} could not share it: {reason}"


def groups(faults: Collection[Fault]) -> Iterator[tuple[Fault, ...]]:
    """Those that can share a beginning, which has to be looked at as closely as they."""
    fit = sorted((fault for fault in faults if fault.hit.syscall != ALLOCATION), key=lambda fault: fault.closely)
    for _, group in groupby(fit, key=lambda fault: fault.closely):
        found = tuple(group)
        if len(found) >= LEAST_AT_ONCE:
            yield found


def wrong(outcome: Outcome) -> frozenset[str]:
    """The kinds of what guards say, benign ones aside."""
    return frozenset(each.kind for each in guards.judge(outcome) if each.standing is not Standing.BENIGN)


def parted(
    bench: Bench, clean: Clean, policies: Sequence[Policy], *, closely: bool
) -> Generator[tuple[int, Outcome, DecisionReport], Verdict, Left]:
    """As `inject.faulted.faulted` shows each of them, but for second looks."""
    target = bench.target
    bench.target = replace(target, limits=fault_limits(target.limits, clean.outcome.wall_s))
    runs = branching(bench, clean, policies, closely=closely and is_watchable(clean))
    try:
        index, outcome, report = next(runs)
        while True:
            verdict = yield index, beside(clean, with_scene(bench, outcome), report), report
            index, outcome, report = runs.send(verdict)
    except StopIteration as end:
        left: Left = end.value
        return left
    finally:
        runs.close()
        bench.target = target


def _runs(number: int) -> str:
    return f"{number:,} run{'' if number == 1 else 's'}"
