"""What a program does after a fault: a census of the calls that follow the first strike of a policy."""

from dataclasses import replace

from firedamp.run import Bench
from firedamp.trace.protocol import PROCEED, Action, Call
from inject.decide.decider import Decider
from inject.observe.census import Census, Report
from inject.policy import parse
from inject.sweeps.plan import Fault


class Aftermath:
    """An Interceptor: carries out a policy, and takes a census of all calls."""

    def __init__(self, census: Census, decider: Decider) -> None:
        self.census = census
        self.decider = decider
        self.begins: int | None = None

    def numbers(self) -> frozenset[int]:
        return self.census.numbers() | self.decider.numbers()

    def enter(self, call: Call) -> Action:
        watched = self.census.enter(call) if call.number in self.census.numbers() else PROCEED
        action = self.decider.enter(call) if call.number in self.decider.numbers() else PROCEED
        if self.begins is None and self.decider.strikes:
            self.begins = len(self.census.hits)
        return watched if action == PROCEED else action

    def leave(self, call: Call, result: int) -> None:
        self.census.leave(call, result)
        self.decider.leave(call, result)

    def report(self) -> Report:
        """Of the calls after the strike, none where it did not take place."""
        report = self.census.report()
        begins = len(report.hits) if self.begins is None else self.begins
        return replace(report, hits=report.hits[begins:])


def probe(bench: Bench, first: Fault) -> Report:
    """One run under the first fault."""
    census = Census(writable=(bench.room.path, bench.room.tmp))
    decider = Decider(parse("\n".join(first.schedule)), folder=str(bench.room.path))
    _, report = bench.run_command(interceptor=Aftermath(census, decider))
    assert isinstance(report, Report)
    return report
