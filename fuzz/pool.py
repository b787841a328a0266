"""The inputs of one search on disk: the living corpus, a private copy of the seeds, and the quarantine.

The user's own seeds, a folder or an archive, are only read. Names are the SHA-1 of the content, as libFuzzer's are.
"""

import os
import shutil
import time
from pathlib import Path

from firedamp.errors import UsageError
from firedamp.exchange import contents, digest

NUDGE_NS = 1_100_000_000  # a later second for certain
# Tried in turn when libFuzzer's own first input for an empty corpus (one newline) kills the target.
STARTERS = (b"0", b"A" * 8, bytes(8))


class Pool:
    """`corpus` is what libFuzzer reads and adds to, `seeds` what it only reads."""

    def __init__(self, *, results: Path, private: Path, max_len: int) -> None:
        self.corpus = results / "corpus"
        self.quarantine = results / "quarantine"
        self.seeds = private / "seeds"
        self._max_len = max_len
        self._starters = iter(STARTERS)
        self._nudged_ns = 0
        self.corpus.mkdir(parents=True, exist_ok=True)
        self.seeds.mkdir(parents=True, exist_ok=True)
        self.settle()

    def __len__(self) -> int:
        return sum(1 for _ in self.corpus.iterdir())

    def inputs(self) -> list[Path]:
        """What a life begins with."""
        return [path for folder in (self.seeds, self.corpus) for path in folder.iterdir()]

    def add_seeds(self, own: Path) -> int:
        """Of a folder or an archive, each cut to `max_len` as libFuzzer would; how many different ones there are."""
        if not own.exists():
            raise UsageError(f"seeds {str(own)!r}: is no folder and no archive; create it, or leave `seeds` out")
        for data in contents(own):
            self._add(data)
        return sum(1 for _ in self.seeds.iterdir())

    def add_starter(self) -> bool:
        """Offer libFuzzer something else to begin with; false when nothing is left to try."""
        starter = next(self._starters, None)
        if starter is not None:
            self._add(starter)
        return starter is not None

    def nudge(self) -> None:
        """Have every worker read what the others have written, within seconds.

        libFuzzer lists the folder again when the folder's time is later than at its last look, in whole seconds
        (ListFilesInDirRecursive of FuzzerIOPosix.cpp): what came in the same second, after the look, would wait for
        the next find.
        """
        changed_ns = self.corpus.stat().st_mtime_ns
        if changed_ns != self._nudged_ns and time.time_ns() - changed_ns > NUDGE_NS:
            os.utime(self.corpus)
            self._nudged_ns = self.corpus.stat().st_mtime_ns

    def settle(self) -> None:
        """Give every file of the corpus the name of its content: a killed process may have left half of one."""
        for path in list(self.corpus.iterdir()):
            name = digest(path.read_bytes()) if path.is_file() else path.name
            if name != path.name:
                path.replace(self.corpus / name)

    def set_aside(self, data: bytes, *, thorough: bool = True) -> bool:
        """Move the files that libFuzzer reads as `data` into the quarantine; false when there is none.

        Unless it is to be `thorough`, only files of that content's name are looked at.
        """
        candidates = self._candidates(data) if thorough else self._named(data)
        guilty = [path for path in candidates if path.read_bytes()[: self._max_len] == data]
        if guilty:
            self.quarantine.mkdir(exist_ok=True)
        for path in guilty:
            shutil.move(path, self.quarantine / path.name)
        return bool(guilty)

    def _candidates(self, data: bytes) -> list[Path]:
        return self._named(data) or [
            path for folder in (self.corpus, self.seeds) for path in folder.iterdir() if path.is_file()
        ]

    def _named(self, data: bytes) -> list[Path]:
        named = (folder / digest(data) for folder in (self.corpus, self.seeds))
        return [path for path in named if path.is_file()]

    def _add(self, data: bytes) -> None:
        cut = data[: self._max_len]
        with open(f"{self.seeds}/{digest(cut)}", "wb", buffering=0) as file:
            file.write(cut)
