"""What a fault that lasts strikes: the calls that meet the same full disk, full table, or broken file. Pure.

What lasts is the state of an object, so a lasting fault does not stop at its site:
- a full or read-only file system (ENOSPC, EDQUOT, EROFS): every later call of the family on files of the working
  folder, or on the same standard stream;
- a full table (EMFILE, ENFILE): every later call of the family, on whatever it is;
- memory (ENOMEM of brk, mmap ...): every later call that asks for memory;
- else (EIO, EACCES ...): every later call of the family on the same file.
Where the object has no name that another run would know again, and under TMPDIR, the site alone stands for it.
"""

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import PurePath
from typing import Final

from inject.linux import syscalls
from inject.observe.census import Hit

SPACE: Final = frozenset({"ENOSPC", "EDQUOT", "EROFS"})
TABLES: Final = frozenset({"EMFILE", "ENFILE"})
MEMORY: Final = ("brk", "mmap", "mremap")
CREATES: Final = frozenset({"ENOSPC", "EDQUOT"})
NAMES: Final = frozenset({"EEXIST", "ELOOP", "ENOENT", "ENOTDIR", "ENOTEMPTY"})  # they last for one name alone


@dataclass(frozen=True, slots=True, kw_only=True)
class Filter:
    """The calls that a lasting fault strikes: as a policy says it, and as the census can count it."""

    syscall: str
    text: str
    covers: Callable[[Hit], bool]


def filters_of(hit: Hit, name: str, folder: str, steady: frozenset[str]) -> Iterator[Filter]:
    if name == "ENOMEM" and hit.syscall in MEMORY:
        for call in MEMORY:
            yield Filter(syscall=call, text="true", covers=_calls(call))
        return
    if name in TABLES or (hit.path is None and hit.fd is None):
        yield Filter(syscall=hit.syscall, text="true", covers=_calls(hit.syscall))
        return
    found = _object(hit, name, folder, steady)
    if found is not None:
        yield found


def _object(hit: Hit, name: str, folder: str, steady: frozenset[str]) -> Filter | None:
    """The file system, the stream or the file that fails from now on; None for a name that nobody uses again."""
    same = _calls(hit.syscall)
    inside = in_folder(hit.path, folder) if hit.path is not None else None
    if inside is not None and name in SPACE:
        opens = hit.syscall in syscalls.families()["open"]
        limits = "" if not opens else ' and oflags sub "c"' if name in CREATES else ' and not oflags sub "ro"'

        def on_disk(other: Hit) -> bool:
            if not same(other) or other.path is None or in_folder(other.path, folder) is None:
                return False
            return not opens or _opens_so(other, name)

        return Filter(syscall=hit.syscall, text=f'path match "$CWD"{limits}', covers=on_disk)
    if hit.fd is not None and 0 <= hit.fd <= 2 and inside is None:
        return Filter(
            syscall=hit.syscall, text=f'fd eq "{hit.fd}"', covers=lambda other: same(other) and other.fd == hit.fd
        )
    if hit.path is not None and hit.path in steady and _quotable(hit.path) and not _private(hit.path, folder):
        steady_name = hit.path if inside is None else f"$CWD/{inside}" if inside else "$CWD"
        path = hit.path.lower()  # eq is blind to case
        return Filter(
            syscall=hit.syscall,
            text=f'path eq "{steady_name}"',
            covers=lambda other: same(other) and (other.path or "").lower() == path,
        )
    if name in NAMES:
        return None  # mkstemp(3) goes on to the next name, which is free
    return Filter(syscall=hit.syscall, text=f'site eq "{hit.site}"', covers=lambda other: other.site == hit.site)


def in_folder(path: str, folder: str) -> str | None:
    """The part below the folder; None when it lies elsewhere."""
    if path == folder:
        return ""
    return path[len(folder) + 1 :] if path.startswith(folder + "/") else None


def _opens_so(hit: Hit, name: str) -> bool:
    return bool(hit.open_flags & os.O_CREAT) if name in CREATES else bool(hit.open_flags & os.O_ACCMODE)


def _private(path: str, folder: str) -> bool:
    """TMPDIR stands beside the working folder, and is elsewhere in each run."""
    return in_folder(path, str(PurePath(folder).parent / "tmp")) is not None or " (deleted)" in path


def _quotable(path: str) -> bool:
    return path.isprintable() and "$" not in path and '"' not in path and "\\" not in path


def _calls(syscall: str) -> Callable[[Hit], bool]:
    """A rule's name stands for its family (read is pread64, too)."""
    members = frozenset(syscalls.families().get(syscall, (syscall,)))
    return lambda hit: hit.syscall in members
