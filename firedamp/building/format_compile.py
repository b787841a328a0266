"""Compiles C by way of its preprocessed text, so that the calls in it can be marked (format_marks.py).

Not by a header or a macro: those would change what the source sees. Compilers take preprocessed text as ccache and
distcc give it to them. Whatever does not go this way is compiled as it stands, and the build says so.
"""

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

from firedamp.building import format_marks
from firedamp.building.cache import digest, file_digest
from firedamp.building.format_marks import PRINTED, marked
from firedamp.building.proof import Names

C_SUFFIX = ".c"
GUARDED = frozenset(name for name in PRINTED if "v" not in name)  # those that take the arguments themselves
FORCED = frozenset({"-include", "-imacros"})  # these are in the text already


def method_digest() -> str:
    """Of how marks are made: objects that were made in another way must be made again."""
    return digest(file_digest(Path(file)) for file in (__file__, format_marks.__file__))


def compile_marked(command: tuple[str, ...], source: str, output: Path, folder: Path) -> bool:
    """Runs `command` (a driver with its flags, without -c, input and output) in `folder`.

    False: there was nothing to mark, or the source does not compile in this way, maybe in no way.
    """
    text = output.with_suffix(".i")
    listing = ("-MMD", "-MF", str(output.with_suffix(".d")))
    if not source.endswith(C_SUFFIX) or not _run((*command, *listing, "-E", source, "-o", str(text)), folder):
        return False
    before = text.read_text("latin-1")  # any bytes; every sign of C is one of ASCII's
    after = marked(before)
    if after == before:
        return False
    text.write_text(after, "latin-1")
    # Without warnings: macros of system headers and our own marks would give them, and -Werror make errors of them.
    return _run((*_but_forced(command), "-w", "-c", str(text), "-o", str(output)), folder)


def uncounted(table: Names) -> bool:
    """Of an object without marks: does it call what there could be marks for?"""
    return not table.undefined.isdisjoint(GUARDED)


def _but_forced(command: tuple[str, ...]) -> Iterator[str]:
    words = iter(command)
    for word in words:
        if word in FORCED:
            next(words, None)
        else:
            yield word


def _run(command: tuple[str, ...], folder: Path) -> bool:
    environment = {**os.environ, "LC_ALL": "C"}
    run = subprocess.run(command, cwd=folder, env=environment, stdin=subprocess.DEVNULL, capture_output=True)
    return run.returncode == 0
