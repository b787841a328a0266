"""From flags to the source: files, functions and lines, and how much of each was reached. Values; reads ELF files only.

A line may hold several blocks (a condition of two halves, a loop's head): it is reached partly when only some of them
are, so where the second half of a condition or one side of `?:` was never looked at.
"""

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import groupby, pairwise
from pathlib import Path

from firedamp.symbols.functions import Functions
from firedamp.symbols.lines import Lines
from firedamp.unwind.image import Image

# `movb $1, flag(%rip)` at the head of each block. gcc's is written as bytes, which the assembler counts among the line
# before, so a line that reaches no further into a block has no part in it.
FLAG_BYTES = 7


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    number: int
    blocks: int
    reached: int  # of the blocks

    @property
    def state(self) -> str:
        return "never" if not self.reached else "partly" if self.reached < self.blocks else "reached"


@dataclass(frozen=True, kw_only=True)
class Measured:
    """What functions, files and everything together have in common."""

    lines: tuple[Line, ...]
    blocks: int
    blocks_reached: int

    @cached_property
    def lines_reached(self) -> int:
        return sum(line.reached > 0 for line in self.lines)


@dataclass(frozen=True, kw_only=True)
class Function(Measured):
    name: str
    file: Path
    line: int

    @property
    def gaps(self) -> Iterator[tuple[int, int, int]]:
        """Lines that were never reached in a function that was: first, last, how many lines of code."""
        for state, group in groupby(self.lines, key=lambda line: line.state):
            numbers = [line.number for line in group]
            if state == "never" and self.blocks_reached:
                yield numbers[0], numbers[-1], len(numbers)


@dataclass(frozen=True, kw_only=True)
class SourceFile(Measured):
    path: Path
    functions: tuple[Function, ...]


@dataclass(frozen=True, kw_only=True)
class Coverage(Measured):
    files: tuple[SourceFile, ...]

    @property
    def functions(self) -> tuple[Function, ...]:
        return tuple(function for file in self.files for function in file.functions)


Blocks = dict[tuple[Path, int], set[int]]  # file and line -> numbers of places


def coverage(executable: Path, places: tuple[int, ...], flags: bytes, root: Path) -> Coverage:
    """`flags`: a byte for each place. Code of files that do not lie below `root` is left out."""
    functions = [
        _function(name, blocks, flags)
        for name, blocks in _attributed(executable, places, root)
        if blocks  # the rest is of headers outside, or has no debug information
    ]
    by_file: dict[Path, list[Function]] = defaultdict(list)
    for function in functions:
        by_file[function.file].append(function)
    files = tuple(_file(path, by_file[path]) for path in sorted(by_file))
    return Coverage(
        files=files,
        lines=tuple(line for file in files for line in file.lines),
        blocks=sum(file.blocks for file in files),
        blocks_reached=sum(file.blocks_reached for file in files),
    )


def _attributed(executable: Path, places: tuple[int, ...], root: Path) -> Iterator[tuple[str, Blocks]]:
    """Each function that has places, with the places of its lines."""
    order = sorted(range(len(places)), key=places.__getitem__)
    starts = [places[number] for number in order]
    lines = _line_ranges(executable)
    firsts = [start for start, _, _, _ in lines]
    for start, end, name in Functions(Image.of_file(str(executable))).spans:
        own = order[bisect_right(starts, start - 1) : bisect_right(starts, end - 1)]
        if not own:
            continue
        bounds = [start, *(places[number] for number in own[1:]), end]  # what stands before the first belongs to it
        found: Blocks = defaultdict(set)
        for number, (low, high) in zip(own, pairwise(bounds), strict=True):
            for first, last, path, line in lines[
                max(bisect_right(firsts, low) - 1, 0) : bisect_right(firsts, high - 1)
            ]:
                begun = low if first >= low else low + FLAG_BYTES
                if first < high and last > begun and path.is_relative_to(root):
                    found[path, line].add(number)
        yield name, found


def _line_ranges(executable: Path) -> list[tuple[int, int, Path, int]]:
    """(start, end, file, line), sorted; without code that has no line."""
    paths: dict[str, Path] = {}
    found = []
    for (address, file, line), (following, _, _) in pairwise(Lines(executable).rows()):
        if file and line and address < following:
            found.append((address, following, paths.setdefault(file, Path(file)), line))
    return sorted(found, key=lambda each: each[:2])


def _function(name: str, blocks: Blocks, flags: bytes) -> Function:
    file, first = min(blocks, key=lambda place: (min(blocks[place]), place[1]))
    inside = {line: numbers for (path, line), numbers in blocks.items() if path == file}
    every = frozenset().union(*blocks.values())
    return Function(
        name=name,
        file=file,
        line=min(first, *inside),
        lines=tuple(_line(line, inside[line], flags) for line in sorted(inside)),
        blocks=len(every),
        blocks_reached=sum(bool(flags[number]) for number in every),
    )


def _line(number: int, blocks: set[int], flags: bytes) -> Line:
    return Line(number=number, blocks=len(blocks), reached=sum(bool(flags[each]) for each in blocks))


def _file(path: Path, functions: list[Function]) -> SourceFile:
    """A line may belong to several functions: of a macro, or of a header that many include."""
    together: dict[int, Line] = {}
    for line in (line for function in functions for line in function.lines):
        known = together.get(line.number, Line(number=line.number, blocks=0, reached=0))
        blocks, reached = known.blocks + line.blocks, known.reached + line.reached
        together[line.number] = Line(number=line.number, blocks=blocks, reached=reached)
    return SourceFile(
        path=path,
        functions=tuple(sorted(functions, key=lambda function: function.line)),
        lines=tuple(together[number] for number in sorted(together)),
        blocks=sum(function.blocks for function in functions),
        blocks_reached=sum(function.blocks_reached for function in functions),
    )
