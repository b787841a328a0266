"""One bench kept open between replays: a tracer starts in 200 ms, a run in a warm one takes 5, a shrink makes hundreds.

Only one, that of the last target: a folder of regressions goes from target to target, a campaign stays with one.
"""

import atexit
import threading
from contextlib import ExitStack

from firedamp.run import Bench
from firedamp.target import Build, Target
from fuzz import command

_Key = tuple[Target, Build | None, int]


class WarmBench:
    """`get` gives the bench of a target, opened where it is not yet; closed at the end of this process at the latest.

    What lies in the working folder was copied when the bench was opened. A tracer dies with the thread that started it,
    so each thread gets a new one.
    """

    def __init__(self) -> None:
        self._key: _Key | None = None
        self._bench: Bench | None = None
        self._stack = ExitStack()
        atexit.register(self.close)

    def get(self, target: Target, build: Build | None) -> Bench:
        key = target, build, threading.get_ident()
        if self._bench is None or key != self._key:
            self.close()
            self._bench = self._stack.enter_context(command.fresh(target, build))
            self._key = key
        return self._bench

    def close(self) -> None:
        self._bench = self._key = None
        self._stack.close()
