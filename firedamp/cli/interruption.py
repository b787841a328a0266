"""Ctrl-C, SIGTERM and SIGHUP: the first asks politely and lets the run save its state, the second ends it."""

import os
import signal
from types import FrameType, TracebackType
from typing import Self

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Interruption:
    """A context manager; ask `stopping()` wherever a run could end well."""

    def __init__(self) -> None:
        self._asked = False
        self._before: dict[signal.Signals, object] = {}

    def stopping(self) -> bool:
        return self._asked

    def __enter__(self) -> Self:
        for number in SIGNALS:
            # nohup stays nohup. SIGINT is ignored in background jobs of a script, which means Ctrl-C, not kill -INT.
            if number is not signal.SIGHUP or signal.getsignal(number) is not signal.SIG_IGN:
                self._before[number] = signal.signal(number, self._hear)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)  # type: ignore[arg-type]  # what signal.signal itself returned

    def _hear(self, number: int, frame: FrameType | None) -> None:
        if self._asked:
            raise KeyboardInterrupt
        self._asked = True
        # os.write, since a handler may interrupt a print of our own.
        os.write(2, b"\nfiredamp: stopping and saving; once more to stop at once\n")
