"""A bench that outlives its tracer: where that was killed (by a person, or for want of memory) a new one takes over."""

from contextlib import ExitStack
from types import TracebackType
from typing import Self

from firedamp.errors import WorkerDied
from firedamp.outcome import Outcome
from firedamp.run import Bench
from firedamp.target import Build, Target
from fuzz import command

TRIES = 3  # of one run: what kills every tracer is no accident


class SteadyBench:
    """Context manager; runs inputs as a Bench does."""

    def __init__(self, target: Target, build: Build | None) -> None:
        self._target = target
        self._build = build
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        self._open()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()

    def run_input(self, data: bytes) -> Outcome:
        return self.run_inputs((data,))

    def run_inputs(self, inputs: tuple[bytes, ...]) -> Outcome:
        for _ in range(TRIES - 1):
            try:
                return self.bench.run_inputs(inputs)
            except WorkerDied:
                self._stack.close()
                self._open()
        return self.bench.run_inputs(inputs)

    def _open(self) -> None:
        self.bench: Bench = self._stack.enter_context(command.fresh(self._target, self._build))
