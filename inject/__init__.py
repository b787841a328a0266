"""ENGINE: system calls fail with errnos that could really happen. Importing this package loads next to nothing."""

from collections.abc import Iterator
from functools import cached_property
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from firedamp.engine import Attempt, Engine, Job, Progress
    from firedamp.injector import Examined, Lesson, Mode, Part, SingleRun
    from firedamp.outcome import Outcome
    from firedamp.reproducer import Reproducer
    from firedamp.target import Build, Target
    from inject.engine import FaultEngine

__all__ = ["ENGINE"]


class _Engine:
    """inject.engine.FaultEngine, loaded at its first use."""

    name = "inject"

    def search(self, job: "Job", progress: "Progress") -> "Iterator[Attempt]":
        return self._engine.search(job, progress)

    def replay(self, reproducer: "Reproducer", build: "Build | None") -> "Outcome":
        return self._engine.replay(reproducer, build)

    @cached_property
    def _engine(self) -> "FaultEngine":
        """One for all calls: what is replayed while it searches shares clean runs."""
        from inject.engine import FaultEngine

        return FaultEngine()

    def run_once(
        self, target: "Target", parts: "tuple[Part, ...]", *, in_place: bool, mode: "Mode" = "inject"
    ) -> "SingleRun":
        from inject.single import run_once

        return run_once(target, parts, in_place=in_place, mode=mode)

    def learn(self, target: "Target", policy: "Part", *, in_place: bool) -> "Lesson":
        from inject.single import learn

        return learn(target, policy, in_place=in_place)

    def examine(self, policy: "Part") -> "Examined":
        from inject.policy.examine import examine

        return examine(policy)

    def translate(self, options: str) -> "Examined":
        from inject.policy.examine import translated

        return translated(options)


ENGINE: "Engine" = _Engine()
