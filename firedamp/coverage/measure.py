"""Runs inputs through a build with the coverage profile and says what they reached together."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from firedamp.coverage.places import flags_bytes, places
from firedamp.coverage.source import Coverage, coverage
from firedamp.outcome import Exited
from firedamp.run import Attachment, Bench
from firedamp.target import Build, InputMode

BATCH = 64  # inputs that one process of a harness is given
VARIABLE = "FIREDAMP_REACHED"  # of firedamp/runtime/reached.c


@dataclass(frozen=True, slots=True, kw_only=True)
class Measurement:
    """`broken`: inputs in which the process died or did not end; what they reached before is counted."""

    inputs: int
    broken: int
    coverage: Coverage


def measure(
    build: Build, inputs: Iterable[bytes], *, progress: Callable[[int], None] = lambda done: None
) -> Measurement:
    addresses = places(build.executable)
    with TemporaryDirectory(prefix="firedamp-coverage-") as folder, Bench(build.target, build) as bench:
        reached = Path(folder, "reached")
        with reached.open("wb") as file:
            file.truncate(flags_bytes(build.executable))
        bench.attachment = Attachment(variables={VARIABLE: str(reached)}, writable=(Path(folder),))
        count = broken = 0
        for group in _groups(build, inputs):
            count += len(group)
            broken += _run(bench, group)
            progress(count)
        flags = reached.read_bytes()
    root = build.target.root.resolve()
    return Measurement(inputs=count, broken=broken, coverage=coverage(build.executable, addresses, flags, root))


def _groups(build: Build, inputs: Iterable[bytes]) -> Iterator[tuple[bytes, ...]]:
    size = BATCH if build.target.input is InputMode.BUFFER else 1
    group: list[bytes] = []
    for data in inputs:
        group.append(data)
        if len(group) == size:
            yield tuple(group)
            group = []
    if group:
        yield tuple(group)


def _run(bench: Bench, group: tuple[bytes, ...]) -> int:
    """How many broke. One that ends the process takes those behind it along, so then each gets its own."""
    if isinstance(bench.run_inputs(group).ending, Exited):
        return 0
    if len(group) == 1:
        return 1
    return sum(_run(bench, (data,)) for data in group)
