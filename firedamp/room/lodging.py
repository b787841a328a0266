"""Where rooms lie and how long: on tmpfs when it has space, named after their owner, swept when the owner is dead."""

import fcntl
import os
import re
import tempfile
from contextlib import suppress
from pathlib import Path

from firedamp.errors import EnvironmentFailure
from firedamp.room.removal import FOLDER_FLAGS, remove

SHARED_MEMORY = Path("/dev/shm")
NAME = re.compile(r"firedamp-(\d+)-(\d+)-[a-z0-9_]{8}")
RESERVE_BYTES = 64 << 20  # left for other users of a tmpfs after our copies


def start_time(pid: int) -> int | None:
    """Field 22 of /proc/PID/stat, in clock ticks since boot (proc(5)); None when there is no such process."""
    try:
        text = Path(f"/proc/{pid}/stat").read_bytes()
    except OSError:
        return None
    return int(text.rpartition(b")")[2].split()[19])


def choose_base(scratch: Path | None, wanted_bytes: int) -> Path:
    """The folder for a new room. Many containers mount /dev/shm noexec: programs in the copy could not run there."""
    if scratch is not None:
        scratch.mkdir(parents=True, exist_ok=True)
        return scratch.resolve()
    try:
        space = os.statvfs(SHARED_MEMORY)
    except OSError:
        return Path(tempfile.gettempdir()).resolve()
    free = space.f_bavail * space.f_frsize - RESERVE_BYTES
    usable = os.access(SHARED_MEMORY, os.W_OK | os.X_OK) and not space.f_flag & (os.ST_NOEXEC | os.ST_RDONLY)
    return SHARED_MEMORY if usable and free >= wanted_bytes else Path(tempfile.gettempdir()).resolve()


class Lodging:
    """One folder of ours below `base`; the lock on it is held for as long as this process lives."""

    def __init__(self, base: Path) -> None:
        sweep(base)
        pid = os.getpid()
        try:
            self.path = Path(tempfile.mkdtemp(prefix=f"firedamp-{pid}-{start_time(pid) or 0}-", dir=base))
        except OSError as error:
            raise EnvironmentFailure(
                f"{base}: no private folder can be made there ({error.strerror}); "
                "give one that is writable with --scratch, or set TMPDIR"
            ) from error
        self._lock = os.open(self.path, FOLDER_FLAGS)
        fcntl.flock(self._lock, fcntl.LOCK_EX)

    def close(self) -> None:
        discard(self.path)
        os.close(self._lock)


def discard(folder: Path) -> None:
    trash = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
    try:
        remove(str(folder), str(trash))
    finally:
        with suppress(OSError):  # not empty after an error: a later sweep takes it
            trash.rmdir()


def sweep(base: Path) -> None:
    """Remove rooms of ours whose owner was killed."""
    with os.scandir(base) as entries:
        found = [entry.path for entry in entries if NAME.search(entry.name) and _is_ours(entry)]
    for path in found:
        if _is_abandoned(path):
            try:
                discard(Path(path))
            except OSError:
                continue  # another process sweeps it at the same time


def _is_ours(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir(follow_symlinks=False) and entry.stat(follow_symlinks=False).st_uid == os.geteuid()
    except OSError:
        return False


def _is_abandoned(path: str) -> bool:
    """The owner is gone and nobody holds the lock (it may live in another pid namespace that shares this folder)."""
    owner = NAME.search(path)
    if owner is None or start_time(int(owner[1])) == int(owner[2]):
        return False
    try:
        descriptor = os.open(path, FOLDER_FLAGS)
    except OSError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    finally:
        os.close(descriptor)
    return True
