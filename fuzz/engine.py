"""The fuzzing engine behind firedamp's Engine protocol. Everything else in this room is reached through here."""

from collections.abc import Iterator

from firedamp.engine import Attempt, Job, Progress
from firedamp.outcome import Outcome
from firedamp.reproducer import Reproducer
from firedamp.target import Build


class FuzzEngine:
    """The heavy rooms are imported at the first use: the fuzzing child imports this package too and needs none."""

    name = "fuzz"

    def search(self, job: Job, progress: Progress) -> Iterator[Attempt]:
        """Every death that was looked at in a fresh process, until time or runs end. Closing the iterator stops all."""
        from fuzz.search import Search

        with Search(job, progress) as search:
            yield from search.attempts()

    def replay(self, reproducer: Reproducer, build: Build | None) -> Outcome:
        from fuzz.command import fresh

        with fresh(reproducer.target, build) as bench:
            return bench.run_input(reproducer.payload)


ENGINE = FuzzEngine()
