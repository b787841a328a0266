"""One fuzzing child and its lives: what is left to do in them, and a new child where somebody killed the old one."""

import time
from dataclasses import dataclass
from pathlib import Path

from firedamp.errors import WorkerDied
from fuzz import flags
from fuzz.plan import Plan
from fuzz.supervisor import Supervisor

REPLACED = 5  # times that one child may be killed from outside


@dataclass(slots=True, kw_only=True)
class Worker:
    """`alive`: a life is under way. What happened in it alone is reset when the next one begins."""

    index: int
    folder: Path  # private to it
    plan: Plan
    max_len: int
    supervisor: Supervisor
    quota: int | None  # executions
    lives: int = 0
    alive: bool = False
    executions: int = 0
    at_begin: int = 0  # executions
    survived: int = 0  # detections, before this life
    advanced_at: float = 0.0  # or outside of the target
    executed_at: float = 0.0
    stopped: bool = False  # by us: its end is no death
    barren: int = 0
    cause: str = ""  # of a death that we brought about
    earlier: int = 0  # executions of children that were replaced
    survived_earlier: int = 0  # detections in them
    measured: int = 0  # executions that only measured something; no part of the search
    replaced: int = 0

    @property
    def total(self) -> int:
        return self.earlier + self.supervisor.monitor.executions - self.measured

    @property
    def remaining(self) -> int | None:
        return None if self.quota is None else self.quota - self.total

    @property
    def survived_total(self) -> int:
        """Detections, over all lives and children."""
        return self.survived_earlier + self.supervisor.events.survived

    @property
    def survived_now(self) -> int:
        """Detections in this life."""
        return self.supervisor.events.survived - self.survived

    def begin(self, line: flags.CommandLine, seed: int, runs: int | None) -> None:
        """The next life, of at most `runs` executions. WorkerDied: the child is gone."""
        seed = flags.life_seed(seed, self.index, self.lives)
        self.lives += 1
        self.cause, self.stopped = "", False
        self.survived = self.supervisor.events.survived
        self.executions = self.at_begin = self.supervisor.monitor.executions
        self.advanced_at = self.executed_at = time.monotonic()
        self.supervisor.begin(line.argv(seed=seed, runs=runs))

    def count_loss(self) -> None:
        """The child was killed from outside. WorkerDied when that happens again and again."""
        self.replaced += 1
        if self.replaced > REPLACED:
            raise WorkerDied(f"fuzzing child: was ended from outside {REPLACED} times; is there enough memory?")

    def replace(self) -> None:
        """A new child, for one that is gone with all that it kept warm."""
        earlier, self.survived_earlier = self.total, self.survived_total
        self.supervisor.close()
        self.supervisor = Supervisor(self.plan, max_len=self.max_len)
        self.earlier, self.measured, self.survived = earlier, 0, 0
