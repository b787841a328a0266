"""Inputs that something was seen of and that nobody has judged yet, on disk: a kill must not lose a finding.

results/TARGET/pending holds one sequence each (firedamp.sequence), under the SHA-1 of its last input. What a run left
there, killed or out of time, is looked at first by the next one.
"""

import os
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from firedamp import sequence
from firedamp.errors import UsageError
from firedamp.exchange import digest

BEFORE = 256  # inputs that are kept with each one


class Pending:
    """A full disk is said elsewhere: here it only means that less is kept."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def keep(self, data: bytes, before: tuple[bytes, ...] = ()) -> None:
        path = self._folder / digest(data)
        draft = path.with_name(f".{path.name}.{os.getpid()}.{threading.get_ident()}")
        with suppress(OSError):
            if not path.exists():
                self._folder.mkdir(parents=True, exist_ok=True)
                draft.write_bytes(sequence.dump((*before[-BEFORE:], data)))
                draft.replace(path)

    def settle(self, data: bytes) -> None:
        """It was judged, and what came of that is kept."""
        with suppress(OSError):
            (self._folder / digest(data)).unlink(missing_ok=True)

    def left(self) -> Iterator[tuple[bytes, ...]]:
        """What is there, each with the inputs before it."""
        for path in sorted(self._folder.iterdir()) if self._folder.is_dir() else ():
            with suppress(UsageError, OSError):
                if not path.name.startswith(".") and (inputs := sequence.parse(path.read_bytes())):
                    yield inputs
