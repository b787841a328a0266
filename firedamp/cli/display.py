"""Progress on stderr while something runs: live lines on a terminal, a plain line now and then elsewhere."""

import sys
import threading
import time
from collections.abc import Callable
from types import TracebackType
from typing import Self

from firedamp.ticker import Ticker

QUIET_S = 2.0  # what is done sooner shows nothing
PLAIN_EVERY_S, PLAIN_SHARE, PLAIN_LONGEST_S = 10.0, 0.1, 600.0  # a run of a day is 150 lines, and not 8,640
LIVE_PER_S = 4.0


class Display:
    """A context manager. `words` makes the line from the counters; `tell` prints a line above it at once.

    `block` makes several lines for a terminal of so many columns, where one is not enough; none is wider. `urgent` is
    what must be said at once when it changes, in a log too.
    """

    def __init__(
        self,
        words: Callable[[], str],
        *,
        block: Callable[[int], list[str]] | None = None,
        urgent: Callable[[], str] = lambda: "",
    ) -> None:
        self._words = words
        self._block = block or (lambda columns: [words()[: columns - 1]])
        self._urgent = urgent
        self._ticker = Ticker(1 / LIVE_PER_S, self._look)
        self._lock = threading.Lock()
        self._shown = 0
        self._live = sys.stderr.isatty()

    def __enter__(self) -> Self:
        self._started = time.monotonic()
        self._due, self._said = self._started + QUIET_S, ""
        self._ticker.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ticker.stop()
        with self._lock:
            self._clear()

    def tell(self, line: str) -> None:
        with self._lock:
            self._clear()
            print(line, file=sys.stderr, flush=True)

    def _look(self) -> None:
        now, urgent = time.monotonic(), self._urgent()
        if now < self._due and urgent == self._said:
            return
        with self._lock:
            self._draw(self._words() if urgent == self._said else urgent or self._words())
        pause = min(PLAIN_LONGEST_S, max(PLAIN_EVERY_S, PLAIN_SHARE * (now - self._started)))
        self._said, self._due = urgent, now if self._live else now + pause

    def _draw(self, line: str) -> None:
        if not self._live:
            print(line, file=sys.stderr, flush=True)
            return
        self._clear()
        lines = self._block(_columns())
        sys.stderr.write("\n".join(lines))
        sys.stderr.flush()
        self._shown = len(lines)

    def _clear(self) -> None:
        """Wipe our lines away (ECMA-48: EL, CUU); the cursor stands where the first of them began."""
        if self._live and self._shown:
            sys.stderr.write("\r\x1b[K" + "\x1b[A\r\x1b[K" * (self._shown - 1))
            self._shown = 0


def _columns() -> int:
    import shutil

    return shutil.get_terminal_size().columns
