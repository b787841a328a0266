"""The only door to fuzz/ and inject/: what an engine is, and how one is found."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from importlib.metadata import entry_points
from pathlib import Path
from typing import Protocol

from firedamp.errors import EnvironmentFailure
from firedamp.outcome import Outcome
from firedamp.reproducer import Reproducer
from firedamp.target import Build, Target


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """One execution that is worth judging, and how to see it again."""

    reproducer: Reproducer
    outcome: Outcome
    before: tuple[bytes, ...] = ()  # inputs that the same process had before, oldest first
    build: Build | None = None  # that showed it, where it is not the job's


@dataclass(slots=True, kw_only=True)
class Progress:
    """Counters of a search under way; the engine updates them, the roof shows them."""

    executions: int = 0
    executions_per_s: float = 0.0
    edges: int = 0
    corpus: int = 0
    survived: int = 0  # detections after which a fuzzing process went on
    signatures: int = 0  # of those, told apart in process
    active_s: float = 0.0  # without the time in which others had their turn
    news_s: float = 0.0  # of active_s, when the last new edge or input of the corpus was found
    stability: float | None = None  # share of the edges that come again when an input is run again
    pause: str = ""  # why nothing is executed at the moment; empty: something is
    sites: int = 0
    kinds: int = 0  # of faults, over all sites: errnos and what else is done to a call
    pairs: int = 0  # of the planned ones: a second fault after a first
    planned: int = 0  # faults; each one is done, taken over, skipped or left
    done: int = 0
    taken_over: int = 0  # done by an earlier run that this one goes on with
    recalled: tuple[str, ...] = ()  # findings of that run, by identity
    skips: dict[str, int] = field(default_factory=dict)  # reason -> faults
    complete: bool = False
    recovery: Path | None = None  # a report on the lines that only faults reach, of programs that count them
    notes: list[str] = field(default_factory=list)  # what a person must know: vacuous rules, lost confinement

    @property
    def left(self) -> int:
        """Faults that were neither executed nor skipped for a reason."""
        return self.planned - self.done - self.taken_over - sum(self.skips.values())

    def note(self, text: str) -> None:
        """Each text once, however often it happens."""
        if text not in self.notes:
            self.notes.append(text)

    def skip(self, reason: str) -> None:
        self.skips[reason] = self.skips.get(reason, 0) + 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """What to search, within what bounds."""

    target: Target
    build: Build | None = None  # None for a COMMAND or PYTHON target and for sweeps
    results: Path
    time_s: float | None = None
    runs: int | None = None
    seed: int = 0
    workers: int = 1
    flags: tuple[str, ...] = ()  # passed through to libFuzzer
    options: dict[str, object] = field(default_factory=dict)  # of one engine, documented there
    stopping: Callable[[], bool] = lambda: False  # Ctrl-C was pressed
    resting: Callable[[], bool] = lambda: False  # others have their turn: nothing is to be executed


class Engine(Protocol):
    name: str

    def search(self, job: Job, progress: Progress) -> Iterator[Attempt]: ...

    def replay(self, reproducer: Reproducer, build: Build | None) -> Outcome:
        """One fresh process (two for inject: the clean run first, as `Outcome.baseline`)."""


def load(name: str) -> Engine:
    """The engine registered under `firedamp.engines` as `name`."""
    for entry in entry_points(group="firedamp.engines", name=name):
        engine: Engine = entry.load()
        if getattr(engine, "name", None) != name:
            raise EnvironmentFailure(
                f"{entry.value}: is no firedamp engine (a foreign package of that name is in the way); "
                "reinstall firedamp in an environment of its own"
            )
        return engine
    raise EnvironmentFailure(f"engine {name!r}: not registered; install firedamp (./dev does), not just its files")
