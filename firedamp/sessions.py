"""How long a target was fuzzed, over all runs: results/TARGET/sessions/ holds one small file for each of them.

It is written anew every second, so that a kill costs no more than that. Each run has a file of its own: two at a time
do not disturb each other.
"""

import json
import os
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from uuid import uuid4

from firedamp.engine import Progress
from firedamp.ticker import Ticker

EVERY_S = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Past:
    """All earlier runs together. `killed`: runs that ended without a word."""

    run_s: float = 0.0
    executions: int = 0
    sessions: int = 0
    killed: int = 0


class Session:
    """A context manager: while it is open, what `progress` says is written down every second."""

    def __init__(self, folder: Path, progress: Progress) -> None:
        """`folder` is results/TARGET."""
        self._folder = folder / "sessions"
        self._progress = progress
        self._ticker = Ticker(EVERY_S, self._write)

    def __enter__(self) -> Self:
        self._folder.mkdir(parents=True, exist_ok=True)
        self._began = time.time()
        self._path = self._folder / f"{time.strftime('%Y%m%dT%H%M%SZ', time.gmtime())}-{uuid4().hex[:8]}.json"
        self._write()
        self._ticker.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ticker.stop()
        self._write(ended=True)

    def _write(self, *, ended: bool = False) -> None:
        """Whole or not at all. A full disk is said elsewhere; the next second tries again."""
        facts = {
            "began": round(self._began, 3),
            "pid": os.getpid(),
            "run_s": round(self._progress.active_s, 3),
            "executions": self._progress.executions,
            "ended": ended,
        }
        draft = self._path.with_suffix(".tmp")
        with suppress(OSError):
            draft.write_text(json.dumps(facts))
            draft.replace(self._path)


def past(folder: Path) -> Past:
    """Of results/TARGET. What cannot be read does not count."""
    known = [facts for path in (folder / "sessions").glob("*.json") if (facts := _read(path))]
    return Past(
        run_s=sum(float(facts["run_s"]) for facts in known),
        executions=sum(int(facts["executions"]) for facts in known),
        sessions=len(known),
        killed=sum(1 for facts in known if not facts["ended"] and not _alive(int(facts["pid"]))),
    )


def _read(path: Path) -> dict[str, Any]:
    with suppress(OSError, ValueError):
        facts = json.loads(path.read_text())
        if isinstance(facts, dict) and {"run_s", "executions", "ended", "pid"} <= facts.keys():
            return facts
    return {}


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
