"""What lies in a folder: read before anything is copied, counted while it is read."""

import os
import stat
from collections.abc import Collection, Iterator
from dataclasses import dataclass

from firedamp.errors import UsageError
from firedamp.records import holds_results
from firedamp.room.lodging import NAME
from firedamp.room.removal import unlock

ENTRY_LIMIT = 20_000  # beyond this a reset takes longer than most programs run
PATH_LIMIT_BYTES = 4096 - 256  # PATH_MAX of limits.h, less the room's own prefix


@dataclass(frozen=True, slots=True)
class Node:
    """One thing as it must be at the start of each run."""

    path: str  # relative to the folder; "" is the folder itself
    mode: int  # st_mode: type and permissions
    mtime_ns: int
    link: str = ""
    copy: str = ""  # of a regular file: where its bytes are kept


Inventory = tuple[tuple[str, os.stat_result], ...]  # relative path and lstat, folders before their content
Fingerprint = tuple[int, int, int, int, int, int]


def fingerprint(status: os.stat_result) -> Fingerprint:
    """Differs whenever bytes, mode, owner or links of a file may differ.

    The access time is part of it: a shared mapping on tmpfs that is read before it is written changes neither mtime
    nor ctime (mm/memory.c: no page_mkwrite), but mmap(2) itself moves the atime. Folders and links cannot be mapped.
    """
    atime_ns = status.st_atime_ns if stat.S_ISREG(status.st_mode) else 0
    return status.st_ino, status.st_ctime_ns, status.st_mtime_ns, status.st_size, status.st_mode, atime_ns


def walk(
    root: str, exclude: Collection[str] = (), unlocked: dict[str, int] | None = None
) -> Iterator[tuple[str, os.stat_result]]:
    """(relative path, lstat) of all that lies below `root`, folders before their content; rooms of ours left out.

    `exclude` names paths relative to `root`; with it, folders of results are left out wherever they lie.
    What lies deeper than PATH_MAX is left out: no path can name it.
    A folder of ours that denies reading is opened up if `unlocked` is given, which then gets its path and its mode.
    """
    waiting = [""]
    while waiting:
        folder = waiting.pop()
        for entry in listing(root, folder, unlocked):
            path = f"{folder}/{entry.name}" if folder else entry.name
            if path in exclude or NAME.search(entry.name):
                continue
            if len(os.fsencode(path)) >= PATH_LIMIT_BYTES:
                continue
            status = entry.stat(follow_symlinks=False)
            if exclude and stat.S_ISDIR(status.st_mode) and holds_results(f"{root}/{path}"):
                continue
            yield path, status
            if stat.S_ISDIR(status.st_mode):
                waiting.append(path)


def listing(root: str, folder: str, unlocked: dict[str, int] | None = None) -> list[os.DirEntry[str]]:
    path = f"{root}/{folder}"
    mode = os.lstat(path).st_mode
    if unlocked is not None and mode & stat.S_IRWXU != stat.S_IRWXU:
        unlock(path)
        unlocked[folder] = stat.S_IMODE(mode)
    with os.scandir(path) as entries:
        return list(entries)


def take(
    source: str, limit_bytes: int, exclude: Collection[str] = (), unlocked: dict[str, int] | None = None
) -> Inventory:
    """The inventory of a folder that is to be copied. UsageError once a limit is passed, or if it cannot be read."""
    found: list[tuple[str, os.stat_result]] = []
    size = 0
    try:
        for path, status in walk(source, exclude, unlocked):
            size += status.st_size if stat.S_ISREG(status.st_mode) else 0
            found.append((path, status))
            if size > limit_bytes:
                raise _too_big(source, f"{limit_bytes >> 20} MiB")
            if len(found) > ENTRY_LIMIT:
                raise _too_big(source, f"{ENTRY_LIMIT} files")
    except OSError as error:
        raise UsageError(
            f"{error.filename or source}: cannot be read ({error.strerror}); each run works on a private copy of "
            f"{source}. Make it readable, or name another folder with --workdir"
        ) from error
    return tuple(found)


def _too_big(source: str, rule: str) -> UsageError:
    return UsageError(
        f"{source}: holds more than {rule}; each run starts from a private copy of this folder. "
        "Name a smaller one with --workdir"
    )
