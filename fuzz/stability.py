"""Does a target do the same again? Inputs are run twice in one process, and the edges that they reach are compared.

Where they differ, coverage leads astray: state is kept between executions, or the target asks for the time or for
random numbers.
"""

import random
import time
from pathlib import Path

from firedamp.target import Target
from fuzz.features import edges, reach
from fuzz.supervisor import Supervisor

INPUTS = 16  # drawn for one measurement: some milliseconds
LONGEST_S = 2.0  # what is measured by then counts
BAD = 0.9  # below that a person is told (AFL++'s manual calls 90 % the lower end of what is fine)


def measure(supervisor: Supervisor, target: Target, paths: list[Path], *, control: Path, seed: int) -> float | None:
    """The share of edges that came again, None where nothing could be measured. No life may be under way."""
    chosen = random.Random(seed).sample(sorted(paths), min(INPUTS, len(paths)))
    ends = time.monotonic() + LONGEST_S
    twice = tuple(path for path in chosen for _ in range(2))
    found = reach(supervisor, target, twice, control=control, stopping=lambda: time.monotonic() > ends)
    return share(found)


def share(found: list[frozenset[int] | None]) -> float | None:
    """Of the edges that either run of a pair reached, those that both did."""
    either = both = 0
    for first, second in zip(found[::2], found[1::2], strict=False):
        if first is not None and second is not None:
            either += len(edges(first) | edges(second))
            both += len(edges(first) & edges(second))
    return both / either if either else None
