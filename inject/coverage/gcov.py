"""Programs that count their lines: gcc --coverage. What of a program is that instrument's, and what it counted.

libgcov writes its counts when the program ends by itself, from inside the program. Those calls are none of the
program's: they are neither sites nor struck. Clang's instruments are recognised and refused by name.
"""

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from firedamp.outcome import Frame
from firedamp.symbols.functions import Functions
from firedamp.trace.protocol import PROCEED, Action, Call, Interceptor
from firedamp.unwind.image import Image

OF_GCC: Final = re.compile(r"__gcov_\w+|gcov_\w+")  # libgcov of gcc 12, linked into each program and library
OF_CLANG: Final = re.compile(r"(__)?llvm_(gcov|profile)_\w+")
TOOL: Final = "gcov"
TOOL_LIMIT_S: Final = 60.0

Ranges = tuple[tuple[int, int], ...]  # of addresses in the file


@dataclass(frozen=True, slots=True, kw_only=True)
class Instrument:
    """`own`: where libgcov lies in the program's file. That file has another path in each bench, and the same name."""

    program: Path
    own: Ranges

    def covers(self, frame: Frame) -> bool:
        return any(first <= frame.offset < end for first, end in self.own) and frame.module.endswith(
            f"/{self.program.name}"
        )


def find(program: str) -> Instrument | str | None:
    """The instrument of a program's file; why it cannot be used; or None where there is none."""
    spans = Functions(Image.of_file(program)).spans
    own = tuple((start, end) for start, end, name in spans if OF_GCC.fullmatch(name))
    if any(OF_CLANG.fullmatch(name) for _, _, name in spans):
        return "it counts with clang's instruments, which are not read; build it with gcc --coverage"
    if own:
        return Instrument(program=Path(program), own=own)
    if _holds(program, b".gcda\0"):
        return "its symbols are stripped, so libgcov's own calls cannot be told from the program's; keep them"
    return None


def _holds(program: str, text: bytes) -> bool:
    try:
        return text in Path(program).read_bytes()
    except OSError:
        return False


class Sparing:
    """An Interceptor around another one, which does not get to see the calls of libgcov."""

    def __init__(self, instrument: Instrument, inner: Interceptor) -> None:
        self.instrument = instrument
        self.inner = inner

    def numbers(self) -> frozenset[int]:
        return self.inner.numbers()

    def enter(self, call: Call) -> Action:
        if any(self.instrument.covers(frame) for frame in call.stack()):
            return PROCEED
        return self.inner.enter(call)

    def leave(self, call: Call, result: int) -> None:
        self.inner.leave(call, result)

    def report(self) -> object:
        return self.inner.report()


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One line of code: source file, number, function, and how often it ran."""

    file: str
    number: int
    function: str
    count: int


def lines(folder: Path, program: Path) -> Iterator[Line]:
    """What the runs below GCOV_PREFIX=`folder` counted. Notes (.gcno) are looked for where the object was, else beside
    the program. RuntimeError: gcov is not there, or does not read them."""
    for data in sorted(folder.rglob("*.gcda")):
        notes = _notes(data, folder, program)
        if notes is None:
            raise RuntimeError(f"{data.stem}.gcno: is not where it was compiled, nor beside {program.name}")
        beside = data.with_suffix(".gcno")
        if not beside.exists():
            shutil.copyfile(notes, beside)
        yield from _lines(_gcov(data))


def _notes(data: Path, folder: Path, program: Path) -> Path | None:
    at_home = Path("/", data.relative_to(folder)).with_suffix(".gcno")
    if at_home.is_file():
        return at_home
    return next(iter(sorted(program.parent.rglob(at_home.name))), None)


def _gcov(data: Path) -> dict[str, Any]:
    tool = shutil.which(TOOL)
    if tool is None:
        raise RuntimeError("gcov is not in PATH; it comes with gcc")
    argv = [tool, "--json-format", "--stdout", str(data)]
    done = subprocess.run(argv, cwd=data.parent, capture_output=True, timeout=TOOL_LIMIT_S, check=False)
    try:
        found: dict[str, Any] = json.loads(done.stdout)
    except ValueError:
        said = done.stderr.decode("utf-8", "replace").strip() or f"status {done.returncode}"
        raise RuntimeError(f"gcov does not read {data.name}: {said}") from None
    return found


def _lines(document: dict[str, Any]) -> Iterator[Line]:
    root = Path(document.get("current_working_directory", "/"))
    for file in document["files"]:
        for line in file["lines"]:
            yield Line(
                file=str(root / file["file"]),
                number=line["line_number"],
                function=line.get("function_name", "?"),
                count=line["count"],
            )
