"""Time while we wait for tracees: a periodic SIGALRM that interrupts wait4(2), and calls that are due later.

A signal that arrives between the look at the clock and the wait is lost, so the timer repeats: one tick is the worst.
"""

import heapq
import itertools
import signal
import time
from collections.abc import Callable

TICK_S = 0.02


class Clock:
    def __init__(self) -> None:
        self.due = False
        self._later: list[tuple[float, int, Callable[[], None]]] = []
        self._order = itertools.count()
        signal.signal(signal.SIGALRM, self._ring)

    def _ring(self, *_: object) -> None:
        self.due = True

    def start(self) -> None:
        self.due = False
        self._later.clear()
        signal.setitimer(signal.ITIMER_REAL, TICK_S, TICK_S)

    def stop(self) -> None:
        signal.setitimer(signal.ITIMER_REAL, 0)

    def later(self, delay_s: float, act: Callable[[], None]) -> None:
        """Call `act` from `run_due` once `delay_s` seconds are over."""
        heapq.heappush(self._later, (time.monotonic() + delay_s, next(self._order), act))
        if delay_s < TICK_S:
            signal.setitimer(signal.ITIMER_REAL, max(delay_s, 1e-6), TICK_S)

    def run_due(self) -> None:
        self.due = False
        now = time.monotonic()
        while self._later and self._later[0][0] <= now:
            heapq.heappop(self._later)[2]()
        if self._later:
            first = self._later[0][0] - now
            if first < TICK_S:
                signal.setitimer(signal.ITIMER_REAL, max(first, 1e-6), TICK_S)
