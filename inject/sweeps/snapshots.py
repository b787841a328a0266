"""Many policies tried on one command, the beginning that their runs share run once (firedamp.trace.snapshot).

Each policy has its own Decider, which sees every call of the beginning and counts for itself: where it first wants a
call to fare otherwise, its run parts from the others. Until then they have one Ledger in common.
"""

from collections.abc import Generator, Sequence
from dataclasses import dataclass, field
from typing import Final

from firedamp.outcome import Outcome
from firedamp.run import Bench
from firedamp.trace.protocol import PROCEED, Action, Call, Left, Verdict
from inject.decide.attributes import View
from inject.decide.decider import Decider, DecisionReport
from inject.faulted import with_aftermath
from inject.observe.clean import Clean
from inject.observe.ledger import Ledger, LedgerReport
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
    """firedamp.trace.protocol.Branching. `ledger`: what all runs have seen so far, where they are looked at closely."""

    deciders: dict[int, Decider]
    ledger: Ledger | None
    apart: dict[int, Ledger] = field(default_factory=dict)  # of those that part at this call
    waiting: dict[int, list[int]] = field(default_factory=dict)  # number of a system call -> who wants to see it

    def __post_init__(self) -> None:
        for index, decider in self.deciders.items():
            for number in decider.numbers():
                self.waiting.setdefault(number, []).append(index)

    def numbers(self) -> frozenset[int]:
        return frozenset(self.waiting) | (self.ledger.numbers() if self.ledger is not None else frozenset())

    def enter(self, call: Call) -> tuple[tuple[tuple[int, Action], ...], Action]:
        due = self.ledger.note(call) if self.ledger is not None else False
        parting = tuple(self._parting(call))
        if self.ledger is None:
            return parting, PROCEED
        for index, _ in parting:
            self.apart[index] = self.ledger.part(self.deciders[index])
        followed = ((index, self.apart[index].follow(call, action, due=due)) for index, action in parting)
        return tuple(followed), self.ledger.follow(call, PROCEED, due=due)

    def _parting(self, call: Call) -> Generator[tuple[int, Action]]:
        view = View(call)
        for index in self.waiting.get(call.number, ()):
            action = self.deciders[index].decide(view)
            if action != PROCEED:
                yield index, action

    def leave(self, call: Call, result: int) -> None:
        if self.ledger is not None:
            self.ledger.leave(call, result)

    def remaining(self) -> frozenset[int]:
        return frozenset(self.deciders)

    def drop(self, indexes: frozenset[int]) -> None:
        for index in indexes & self.deciders.keys():
            self.apart.pop(index, None)
            for number in self.deciders.pop(index).numbers():
                self.waiting[number].remove(index)

    def interceptor(self, index: int) -> Decider | Ledger:
        return self.apart.get(index) or self.deciders[index]


def branching(
    bench: Bench, clean: Clean, policies: Sequence[Policy], *, closely: bool
) -> Generator[tuple[int, Outcome, DecisionReport], Verdict, Left]:
    """(index, outcome, report) of each policy whose run could part from the others, in the order of parting.

    All of them are such as `shares` lets pass. `closely`: with an Outcome.aftermath.
    """
    folder = str(bench.room.path)
    deciders = {index: Decider(policy, folder=folder) for index, policy in enumerate(policies)}
    runs = bench.run_branching(Bank(deciders, Ledger(Decider(Policy(), folder=folder)) if closely else None))
    try:
        index, outcome, report = next(runs)
        while True:
            verdict = yield index, *told(bench, clean, outcome, report)
            index, outcome, report = runs.send(verdict)
    except StopIteration as end:
        left: Left = end.value
        return left


def told(bench: Bench, clean: Clean, outcome: Outcome, report: object) -> tuple[Outcome, DecisionReport]:
    """What an interceptor reported, where it belongs."""
    match report:
        case LedgerReport():
            return with_aftermath(bench, clean, outcome, report)
        case DecisionReport():
            return outcome, report
    raise TypeError(report)
