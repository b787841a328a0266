"""When a search executes nothing: others have their turn, or the disk is full."""

import time
from collections.abc import Callable
from contextlib import suppress

from firedamp.disk import Disk
from firedamp.engine import Job, Progress
from fuzz.journal import Journal

TICK_S = 0.2  # how often a search looks up: at its counters, at the disk, at whether it is to stop


class Rest:
    """Says it in the progress and in the journal when the disk is full, and when there is room again."""

    def __init__(self, job: Job, progress: Progress, disk: Disk, journal: Journal) -> None:
        self._job = job
        self._progress = progress
        self._disk = disk
        self._journal = journal
        self.spent_s = 0.0

    def is_due(self) -> bool:
        return self._job.resting() or self._disk.is_short()

    def wait(self, over: Callable[[], bool]) -> None:
        """Until there is room and it is our turn, or the whole search is `over`."""
        began = time.monotonic()
        while (self._job.resting() or self._is_short()) and not over():
            time.sleep(TICK_S)
        self.spent_s += time.monotonic() - began

    def _is_short(self) -> bool:
        """Whether the disk is full; said when that changes."""
        short, progress = self._disk.is_short(), self._progress
        if short and not progress.pause:
            progress.pause = self._disk.words()
            progress.note("paused for a while: the disk was full")
            with suppress(OSError):
                self._journal.write("paused", reason="the disk is full")
        elif progress.pause and not short:
            progress.pause = ""
            self._journal.write("resumed", reason="there is room again")
        return short
