"""Recovery coverage: which lines of a program only faults reach, and which are reached not even so.

For programs that count their lines (gcov.py). The counts of each bench are gathered in a folder of its own, those of
the clean runs apart; runs that are killed or stopped write none. Code that nothing reaches in a function that was
entered is, in a program that a sweep was made of, error handling that was never tested.
"""

import json
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from itertools import groupby
from pathlib import Path
from tempfile import TemporaryDirectory
from types import TracebackType
from typing import Final, Self

from firedamp.reproducer_file import write_atomically
from firedamp.run import Attachment
from inject.coverage import gcov
from inject.coverage.gcov import Instrument, Line, Sparing

SCHEMA: Final = 1
NAME: Final = "recovery"
KINDS: Final = ("only_under_faults", "never", "not_entered")

Place = tuple[str, int]  # source file, line


@dataclass(frozen=True, slots=True, kw_only=True)
class Range:
    """Lines of code that follow each other, in one function."""

    file: str
    first: int
    last: int
    function: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Recovery:
    only_under_faults: tuple[Range, ...] = ()
    never: tuple[Range, ...] = ()  # in functions that were entered
    not_entered: tuple[Range, ...] = ()  # whole functions
    lines: Mapping[str, int] = field(default_factory=dict)  # how many are in each of these

    @property
    def summary(self) -> str:
        return (
            f"recovery: lines reached only under faults: {self.lines['only_under_faults']}, "
            f"never, even so, in functions that were entered: {self.lines['never']}"
        )


def recovery(clean: Iterable[Line], faulted: Iterable[Line], earlier: Collection[Range] = ()) -> Recovery:
    """From the lines of clean runs and those of all runs. `earlier`: what faults reached in runs taken over."""
    clean = tuple(clean)
    before = _counts(clean)
    after = _counts((*clean, *faulted))
    reached = {place for place, (_, count) in after.items() if count or _is_in(place, earlier)}
    entered = {(after[place][0].file, after[place][0].function) for place in reached}

    def kind(place: Place, line: Line) -> str:
        if place in reached:
            return "" if place in before and before[place][1] else "only_under_faults"
        return "never" if (line.file, line.function) in entered else "not_entered"

    kinds = [(kind(place, line), line) for place, (line, _) in sorted(after.items(), key=lambda item: item[0])]
    ranges = tuple(_ranges(kinds))
    return Recovery(
        only_under_faults=tuple(each for name, each in ranges if name == "only_under_faults"),
        never=tuple(each for name, each in ranges if name == "never"),
        not_entered=tuple(each for name, each in ranges if name == "not_entered"),
        lines={name: sum(each == name for each, _ in kinds) for name in KINDS},
    )


def _is_in(place: Place, ranges: Collection[Range]) -> bool:
    return any(each.file == place[0] and each.first <= place[1] <= each.last for each in ranges)


def _ranges(kinds: list[tuple[str, Line]]) -> Iterator[tuple[str, Range]]:
    """Neighbours of one kind and one function, together."""
    for (kind, file, function), group in groupby(kinds, key=lambda each: (each[0], each[1].file, each[1].function)):
        numbers = [line.number for _, line in group]
        yield kind, Range(file=file, first=numbers[0], last=numbers[-1], function=function)


def _counts(lines: Iterable[Line]) -> dict[Place, tuple[Line, int]]:
    """A line of several functions (a macro, a template) is reached when it is in any of them."""
    counts: dict[Place, tuple[Line, int]] = {}
    for line in lines:
        place = line.file, line.number
        first, count = counts.get(place, (line, 0))
        counts[place] = first, count + line.count
    return counts


class Gathering:
    """A context manager: the folders in which the benches of one sweep gather their counts."""

    def __init__(self, instrument: Instrument) -> None:
        self._instrument = instrument

    def __enter__(self) -> Self:
        self._folder = TemporaryDirectory(prefix="firedamp-gcov-")
        self._benches = 0
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._folder.cleanup()

    def attachment(self) -> Attachment:
        """For one more bench."""
        self._benches += 1
        folder = self._path / f"bench-{self._benches}"
        folder.mkdir()
        return Attachment(
            variables={"GCOV_PREFIX": str(folder)},
            writable=(folder,),
            around=lambda inner: Sparing(self._instrument, inner),
        )

    def end_of_clean_runs(self) -> None:
        """What was counted so far, no fault had a part in."""
        for folder in self._path.glob("bench-*"):
            folder.rename(folder.with_name(f"clean-{folder.name}"))
            folder.mkdir()

    def recovery(self, earlier: Collection[Range] = ()) -> Recovery:
        """RuntimeError as gcov.lines."""
        return recovery(tuple(self._lines("clean-*")), tuple(self._lines("bench-*")), earlier)

    def _lines(self, pattern: str) -> Iterator[Line]:
        for folder in self._path.glob(pattern):
            yield from gcov.lines(folder, self._instrument.program)

    @property
    def _path(self) -> Path:
        return Path(self._folder.name)


def write(found: Recovery, folder: Path) -> Path:
    """recovery.txt for a person and recovery.json for scripts; the path of the first."""
    folder.mkdir(parents=True, exist_ok=True)
    kinds = {kind: [asdict(each) for each in getattr(found, kind)] for kind in found.lines}
    document = {"schema": SCHEMA, "lines": dict(found.lines), **kinds}
    write_atomically(folder / f"{NAME}.json", json.dumps(document, indent=2).encode())
    path = folder / f"{NAME}.txt"
    write_atomically(path, "\n".join((*text(found), "")).encode("utf-8", "surrogateescape"))
    return path


def reached_earlier(folder: Path) -> tuple[Range, ...]:
    """Only under faults, by what was written last; nothing where that is not there, or damaged."""
    try:
        document = json.loads((folder / f"{NAME}.json").read_bytes())
        return tuple(Range(**each) for each in document["only_under_faults"])
    except (OSError, ValueError, KeyError, TypeError):
        return ()


def text(found: Recovery) -> Iterator[str]:
    yield found.summary
    yield from _section("reached only under faults", found.only_under_faults)
    yield from _section("never reached, even so", found.never)
    if found.not_entered:
        yield ""
        yield "functions that no run entered:"
        yield from (f"  {each.function} ({each.file}:{each.first})" for each in found.not_entered)


def _section(title: str, ranges: tuple[Range, ...]) -> Iterator[str]:
    if not ranges:
        return
    yield ""
    yield f"{title}:"
    for each in ranges:
        yield f"  {each.file}:{each.first}" + (f"-{each.last}" if each.last > each.first else "") + f" {each.function}"
        yield from (f"    {number:5d}  {words}" for number, words in _source(each))


def _source(where: Range) -> Iterator[tuple[int, str]]:
    try:
        content = Path(where.file).read_text("utf-8", "replace").splitlines()
    except OSError:
        return  # the source has moved since it was compiled
    for number in range(where.first, min(where.last, len(content)) + 1):
        yield number, content[number - 1]
