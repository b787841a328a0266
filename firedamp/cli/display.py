"""Progress on stderr while something runs: a live line on a terminal, a plain line now and then elsewhere."""

import sys
import threading
import time
from collections.abc import Callable
from types import TracebackType
from typing import Self

from firedamp.engine import Progress
from firedamp.report.sweep import count

QUIET_S = 2.0  # what is done sooner shows nothing
PLAIN_EVERY_S = 10.0
LIVE_PER_S = 4.0


class Display:
    """A context manager. `words` makes the line from the counters; `tell` prints a line above it at once."""

    def __init__(self, words: Callable[[], str]) -> None:
        self._words = words
        self._done = threading.Event()
        self._lock = threading.Lock()
        self._shown = 0
        self._live = sys.stderr.isatty()

    def __enter__(self) -> Self:
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._done.set()
        self._thread.join()
        with self._lock:
            self._clear()

    def tell(self, line: str) -> None:
        with self._lock:
            self._clear()
            print(line, file=sys.stderr, flush=True)

    def _run(self) -> None:
        wait = QUIET_S
        while not self._done.wait(wait):
            with self._lock:
                self._draw()
            wait = 1 / LIVE_PER_S if self._live else PLAIN_EVERY_S

    def _draw(self) -> None:
        line = self._words()
        if not self._live:
            print(line, file=sys.stderr, flush=True)
            return
        self._clear()
        width = _columns()
        sys.stderr.write(line[: width - 1])
        sys.stderr.flush()
        self._shown = min(len(line), width - 1)

    def _clear(self) -> None:
        if self._live and self._shown:
            sys.stderr.write("\r" + " " * self._shown + "\r")
            self._shown = 0


def _columns() -> int:
    import shutil

    return shutil.get_terminal_size().columns


def fuzz_words(name: str, progress: Progress, found: Callable[[], int], time_s: float | None) -> Callable[[], str]:
    started = time.monotonic()

    def words() -> str:
        now = time.monotonic() - started
        spent = f"{now:.0f} s" + (f" of {time_s:.0f} s" if time_s else "")
        if time_s and now > time_s + 1:
            return f"{name}: {now:.0f} s, the search is over: confirming and shrinking {count(found(), 'finding')}"
        return (
            f"{name}: {spent}, {progress.executions:,} executions ({progress.executions_per_s:,.0f}/s), "
            f"{progress.edges:,} edges, corpus {progress.corpus:,}, {count(found(), 'finding')}"
        )

    return words
