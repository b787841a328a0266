"""One bench kept open between replays: a tracer starts in 200 ms, a run in a warm one takes 5, a shrink makes hundreds.

Only one for each thread, that of its last target: a folder of regressions goes from target to target, a campaign stays
with one.
"""

import atexit
import threading
from contextlib import ExitStack
from dataclasses import dataclass

from firedamp.target import Build, Target
from fuzz.steady import SteadyBench

_Key = tuple[Target, Build | None]


@dataclass(frozen=True, slots=True)
class _Open:
    key: _Key
    bench: SteadyBench
    stack: ExitStack


class WarmBench:
    """`get` gives the bench of a target, opened where it is not yet; closed at the end of this process at the latest.

    What lies in the working folder was copied when the bench was opened. A tracer dies with the thread that started it,
    so each thread gets its own.
    """

    def __init__(self) -> None:
        self._opened: dict[threading.Thread, _Open] = {}
        self._lock = threading.Lock()
        atexit.register(self.close)

    def get(self, target: Target, build: Build | None) -> SteadyBench:
        thread, key = threading.current_thread(), (target, build)
        with self._lock:
            opened = self._opened.get(thread)
            if opened is None or opened.key != key:
                self._close([each for each in self._opened if each is thread or not each.is_alive()])
                stack = ExitStack()
                opened = _Open(key, stack.enter_context(SteadyBench(target, build)), stack)
                self._opened[thread] = opened
        return opened.bench

    def close(self) -> None:
        with self._lock:
            self._close(list(self._opened))

    def _close(self, threads: list[threading.Thread]) -> None:
        for thread in threads:
            self._opened.pop(thread).stack.close()
