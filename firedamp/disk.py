"""Is there room left where results are written? A search pauses while there is still room for findings."""

import errno
import os
from dataclasses import dataclass
from pathlib import Path

from firedamp.errors import DiskFull
from firedamp.target import MEBIBYTE

RESERVE_BYTES = 16 * MEBIBYTE
RESERVE_SHARE = 0.02  # of a small disk
AGAIN = 2  # times the reserve must be free before it goes on: a disk at the brink would start and stop
FULL = frozenset({errno.ENOSPC, errno.EDQUOT})


def is_full(error: BaseException) -> bool:
    """Whether that is what an error says."""
    return isinstance(error, DiskFull) or (isinstance(error, OSError) and error.errno in FULL)


@dataclass(slots=True)
class Disk:
    """Of `folder`, which exists. It remembers whether it was short, so that it is not short and long by turns."""

    folder: Path
    _short: bool = False

    def is_short(self) -> bool:
        free, reserve = self._measure()
        self._short = free < (AGAIN * reserve if self._short else reserve)
        return self._short

    def words(self) -> str:
        free, reserve = self._measure()
        return (
            f"the disk of {self.folder} is full ({free / MEBIBYTE:.1f} MiB left): paused, nothing is lost; free "
            f"{max(0, AGAIN * reserve - free) / MEBIBYTE:.1f} MiB there and it goes on by itself"
        )

    def _measure(self) -> tuple[int, int]:
        """Bytes free for us, and in reserve."""
        found = os.statvfs(self.folder)
        whole = found.f_blocks * found.f_frsize
        return found.f_bavail * found.f_frsize, min(RESERVE_BYTES, int(RESERVE_SHARE * whole))
