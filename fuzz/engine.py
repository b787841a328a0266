"""The fuzzing engine behind firedamp's Engine protocol. Everything else in this room is reached through here."""

from collections.abc import Callable, Iterator
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from firedamp import sequence
from firedamp.cover import Measured
from firedamp.engine import Attempt, Job, Progress
from firedamp.outcome import Outcome
from firedamp.reproducer import Payload, Reproducer
from firedamp.target import Build, Target

if TYPE_CHECKING:
    from fuzz.warm import WarmBench


class FuzzEngine:
    """The heavy rooms are imported at the first use: the fuzzing child imports this package too and needs none."""

    name = "fuzz"

    def search(self, job: Job, progress: Progress) -> Iterator[Attempt]:
        """Every death that was looked at in a fresh process, until time or runs end. Closing the iterator stops all."""
        from fuzz.search import Search

        with Search(job, progress) as search:
            yield from search.attempts()

    def replay(self, reproducer: Reproducer, build: Build | None) -> Outcome:
        """A fresh process each time; the tracer and the private folder are those of the replay before."""
        bench = self._warm.get(reproducer.target, build)
        match reproducer.kind:
            case Payload.SEQUENCE:
                return bench.run_inputs(sequence.parse(reproducer.payload))
            case Payload.INPUT | Payload.POLICY:
                return bench.run_input(reproducer.payload)

    def measure(
        self, target: Target, build: Build | None, paths: tuple[Path, ...], stopping: Callable[[], bool]
    ) -> tuple[Measured, ...]:
        """firedamp.cover.Gauge."""
        from fuzz.features import measure

        return measure(target, build, paths, stopping)

    @cached_property
    def _warm(self) -> "WarmBench":
        from fuzz.warm import WarmBench

        return WarmBench()


ENGINE = FuzzEngine()
