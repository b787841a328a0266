"""Policies replayed against one target: in processes and folders of their own, beside the same clean runs.

A sweep replays each finding as soon as it has it. Two clean runs and a worker for each replay took longer than the
replays themselves, so they last as long as the sweep does. Plans nothing and judges nothing.
"""

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self

from firedamp.outcome import Outcome
from firedamp.run import Bench
from firedamp.target import Build, Target
from inject.decide import allocation
from inject.faulted import faulted
from inject.observe.clean import Clean, observe
from inject.policy import Policy

Variables = frozenset[tuple[str, str]]


@dataclass(slots=True, kw_only=True)
class Replays:
    """A context manager; its bench opens with the first replay. `prepare` is asked to attach what a sweep attaches."""

    target: Target
    build: Build | None
    prepare: Callable[[Bench, ExitStack], object]
    stack: ExitStack = field(default_factory=ExitStack)
    bench: Bench | None = None
    cleans: dict[Variables, Clean] = field(default_factory=dict)  # of each environment: malloc asks for one

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stack.close()

    def serve(self, target: Target, build: Build | None) -> bool:
        return self.target == target and self.build == build

    def run(self, policy: Policy) -> Outcome:
        """A difference that a further clean run shows as well does not count."""
        bench = self.bench = self.bench or self._open()
        bench.variables = allocation.variables(policy, bench.environment())
        variables = frozenset(bench.variables.items())
        if variables not in self.cleans:
            self.cleans[variables] = observe(bench)
        return faulted(bench, self.cleans[variables], policy)[0]

    def _open(self) -> Bench:
        bench = self.stack.enter_context(Bench(self.target, self.build))
        self.prepare(bench, self.stack)
        return bench
