"""Many policies tried on one command, the beginning that their runs share run once (firedamp.trace.snapshot).

Each policy has its own Decider, which sees every call of the beginning and counts for itself: where it first wants a
call to fare otherwise, its run parts from the others. What a snapshot shows is worth a second look only if it is
suspicious, and that look is a run from the start (inject.sweeping).
"""

from collections.abc import Generator, Sequence
from dataclasses import dataclass, field
from typing import Final

from firedamp.outcome import Outcome
from firedamp.run import Bench
from firedamp.trace.protocol import PROCEED, Action, Call, Left, Verdict
from inject.attributes import View
from inject.decide import Decider, DecisionReport
from inject.policy import Policy
from inject.policy.model import Commit, Deny, Partial, Permit, Retval, Rule, Suppress
from inject.policy.names import ALLOCATION

SHARED_VERDICTS: Final = Permit | Deny | Suppress | Commit | Retval | Partial


def shares(policy: Policy) -> bool:
    """Does nothing happen before this policy decides, and does all that it remembers go on in a copy? Not so where
    memory is changed at the entry, a person is asked, or other processes and their choices matter; and a rule on
    malloc needs an environment of its own."""
    return all(
        isinstance(item, Rule)
        and isinstance(item.verdict, SHARED_VERDICTS)
        and item.syscall != ALLOCATION
        and item.group is None
        for item in policy.items
    )


@dataclass(slots=True)
class Bank:
    """firedamp.trace.protocol.Branching."""

    deciders: dict[int, Decider]
    waiting: dict[int, list[int]] = field(default_factory=dict)  # number of a system call -> who wants to see it

    def __post_init__(self) -> None:
        for index, decider in self.deciders.items():
            for number in decider.numbers():
                self.waiting.setdefault(number, []).append(index)

    def numbers(self) -> frozenset[int]:
        return frozenset(self.waiting)

    def enter(self, call: Call) -> tuple[tuple[int, Action], ...]:
        view = View(call)
        decided = ((index, self.deciders[index].decide(view)) for index in self.waiting[call.number])
        return tuple((index, action) for index, action in decided if action != PROCEED)

    def remaining(self) -> frozenset[int]:
        return frozenset(self.deciders)

    def drop(self, indexes: frozenset[int]) -> None:
        for index in indexes & self.deciders.keys():
            for number in self.deciders.pop(index).numbers():
                self.waiting[number].remove(index)

    def interceptor(self, index: int) -> Decider:
        return self.deciders[index]


def branching(
    bench: Bench, policies: Sequence[Policy]
) -> Generator[tuple[int, Outcome, DecisionReport], Verdict, Left]:
    """(index, outcome, report) of each policy whose run could part from the others, in the order of parting.

    All of them are such as `shares` lets pass.
    """
    folder = str(bench.room.path)
    bank = Bank({index: Decider(policy, folder=folder) for index, policy in enumerate(policies)})
    runs = bench.run_branching(bank)
    try:
        index, outcome, report = next(runs)
        while True:
            assert isinstance(report, DecisionReport)
            verdict = yield index, outcome, report
            index, outcome, report = runs.send(verdict)
    except StopIteration as end:
        left: Left = end.value
        return left
