"""Does it come back? One reproducer, replayed in fresh processes, each outcome judged by the same guards."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

from firedamp import guards
from firedamp.engine import Engine
from firedamp.finding import Detection, Standing
from firedamp.outcome import Outcome
from firedamp.reproducer import Reproducer
from firedamp.target import Build


@dataclass(frozen=True, slots=True, kw_only=True)
class Confirmation:
    """What `runs` replays showed. `seen` counts runs, not detections, by identity; `outcomes` are in order."""

    runs: int
    seen: Counter[str] = field(default_factory=Counter)
    detections: dict[str, Detection] = field(default_factory=dict)
    outcomes: tuple[Outcome, ...] = ()

    def of(self, identity: str) -> tuple[int, int]:
        """n of m."""
        return self.seen[identity], self.runs


def serious(outcome: Outcome, target: str) -> dict[str, Detection]:
    """The detections that count as findings, by identity."""
    return {each.identity(target): each for each in guards.judge(outcome) if each.standing is Standing.FINDING}


def confirm(
    engine: Engine,
    reproducer: Reproducer,
    build: Build | None,
    *,
    times: int,
    stopping: Callable[[], bool] = lambda: False,
) -> Confirmation:
    """Replays `times` times, at least once even when stopping."""
    seen: Counter[str] = Counter()
    detections: dict[str, Detection] = {}
    outcomes: list[Outcome] = []
    while len(outcomes) < times and not (outcomes and stopping()):
        outcome = engine.replay(reproducer, build)
        outcomes.append(outcome)
        found = serious(outcome, reproducer.target.name)
        seen.update(found.keys())
        detections |= found
    return Confirmation(runs=len(outcomes), seen=seen, detections=detections, outcomes=tuple(outcomes))
