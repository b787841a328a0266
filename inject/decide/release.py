"""When a shortage is over: a full table, a full disk, memory that is used up, and the call that gives some back.

`until freed` in a rule. A shortage begins with the rule's first strike, and ends with the first call after it that
succeeds and frees something of the kind. Tables of descriptors and memory are each process's own, a disk is
everybody's. How much is freed is not asked.
"""

import os
import stat
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from errno import EDQUOT, EMFILE, ENFILE, ENOMEM, ENOSPC
from typing import Final

from firedamp.trace.protocol import Call
from inject.decide.attributes import View
from inject.linux import syscalls

SPACE: Final = frozenset({ENOSPC, EDQUOT})
PRIVATE: Final = frozenset({EMFILE, ENOMEM})  # RLIMIT_NOFILE and RLIMIT_AS are a process's own
CLOSES: Final = frozenset({"close", "close_range"})
UNLINKS: Final = frozenset({"unlink", "unlinkat"})
RENAMES: Final = frozenset({"rename", "renameat", "renameat2"})
CUTS: Final = frozenset({"truncate", "ftruncate"})
OPENS: Final = frozenset({"open", "openat", "openat2", "creat"})
UNMAPS: Final = frozenset({"munmap", "mremap", "brk"})
AT_REMOVEDIR: Final = 0x200  # linux/fcntl.h
FREED_BY: Final = {
    **dict.fromkeys((EMFILE, ENFILE), CLOSES),
    **dict.fromkeys(SPACE, UNLINKS | RENAMES | CUTS | OPENS | {"close"}),
    ENOMEM: UNMAPS,
}
SCOPE_OF_ALL: Final = 0

Scope = int  # a process, a device, or SCOPE_OF_ALL


@dataclass(slots=True)
class Releases:
    """Of one run. `errnos`: those that some rule denies until something is freed."""

    errnos: frozenset[int]
    begun: set[int] = field(default_factory=set)  # a shortage that a child is born into is its own to end
    over: set[tuple[int, Scope]] = field(default_factory=set)
    pending: dict[int, tuple[tuple[int, Scope], ...]] = field(default_factory=dict)  # tid -> what success would end

    def numbers(self) -> frozenset[int]:
        return frozenset(syscalls.get(name).number for errno in self.errnos for name in FREED_BY[errno])

    def begin(self, errno: int | None) -> None:
        if errno is not None:
            self.begun.add(errno)

    def is_over(self, errno: int | None, view: View) -> bool:
        return bool(self.over) and errno is not None and (errno, scope(errno, view)) in self.over

    def enter(self, view: View) -> bool:
        """Must the call's result be known?"""
        ends = tuple(self._freed(view)) if self.begun else ()
        if ends:
            self.pending[view.call.tid] = ends
        return bool(ends)

    def leave(self, call: Call, result: int) -> None:
        ends = self.pending.pop(call.tid, ())
        if result >= 0:
            self.over.update(ends)

    def _freed(self, view: View) -> Iterator[tuple[int, Scope]]:
        name = view.name
        for errno in self.begun:
            if name not in FREED_BY[errno]:
                continue
            if errno in SPACE:
                freed = emptied(view)
                if freed is not None:
                    yield errno, freed
            elif errno != ENOMEM or gives_back(view):
                yield errno, scope(errno, view)


def of_rules(errnos: Iterable[int]) -> Releases | None:
    found = frozenset(errnos)
    return Releases(found) if found else None


def scope(errno: int, view: View) -> Scope:
    if errno in SPACE:
        return device(view)
    return view.call.pid if errno in PRIVATE else SCOPE_OF_ALL


def device(view: View) -> Scope:
    """Of the file system that the call is about; of a name that is not there yet, of its folder."""
    for path in (_descriptor(view), view.path(), os.path.dirname(view.path() or "")):  # noqa: PTH120
        found = _stat(path)
        if found is not None:
            return found.st_dev
    return SCOPE_OF_ALL


def gives_back(view: View) -> bool:
    arguments = view.call.arguments
    match view.name:
        case "brk":
            return 0 < arguments[0] < heap_end(view.call.pid)
        case "mremap":
            return arguments[2] < arguments[1]
    return True


def heap_end(pid: int) -> int:
    """The program break, up to its page: proc_pid_maps(5)."""
    try:
        with open(f"/proc/{pid}/maps", "rb") as file:  # names of any bytes
            heap = next((line for line in file if line.endswith(b"[heap]\n")), b"0-0")
    except OSError:
        return 0
    return int(heap.split(b" ", 1)[0].split(b"-")[1], 16)


def emptied(view: View) -> Scope | None:
    """The device on which the call, if it succeeds, frees blocks."""
    found = _losing(view)
    if found is None or not stat.S_ISREG(found.st_mode) or not found.st_blocks:
        return None
    return found.st_dev


def _losing(view: View) -> os.stat_result | None:
    """The file that loses its blocks: its last name, or its content."""
    name, arguments = view.name, view.call.arguments
    if name in UNLINKS and not (name == "unlinkat" and arguments[2] & AT_REMOVEDIR):
        return _last_name(view.filename())
    if name in RENAMES:
        return _last_name(view.filename(1))
    if name in CUTS:
        found = _stat(_descriptor(view) or view.path())
        return found if found is not None and arguments[1] < found.st_size else None
    if name in OPENS:
        return _stat(view.path()) if (view.open_flags or 0) & os.O_TRUNC else None
    if name == "close":
        found = _stat(_descriptor(view))
        return found if found is not None and not found.st_nlink else None
    return None


def _last_name(path: str | None) -> os.stat_result | None:
    try:
        found = None if path is None else os.lstat(path)
    except OSError:
        return None
    return found if found is not None and found.st_nlink == 1 else None


def _descriptor(view: View) -> str | None:
    """A descriptor's own file, also where it has no name any more."""
    fd = None if view.filename() is not None else view.descriptor()
    return None if fd is None else f"/proc/{view.call.pid}/fd/{fd}"


def _stat(path: str | None) -> os.stat_result | None:
    try:
        return os.stat(path) if path else None  # noqa: PTH116  # a /proc/PID/fd link must not be resolved by text
    except OSError:
        return None
