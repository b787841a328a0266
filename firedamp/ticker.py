"""Work that is done again and again beside everything else."""

import threading
from collections.abc import Callable


class Ticker:
    """Does `work` every `every_s` seconds in a thread of its own, from `start` to `stop`."""

    def __init__(self, every_s: float, work: Callable[[], None]) -> None:
        self._every_s = every_s
        self._work = work
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Returns when work that is under way is done, too."""
        self._done.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._done.wait(self._every_s):
            self._work()
