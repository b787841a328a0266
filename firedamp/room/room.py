"""One room: made, put back after each run, described, and removed."""

# ruff: noqa: PTH101, PTH102, PTH115, PTH116, PTH211
# `os` and not pathlib: names of any bytes, descriptors, and thousands of calls for each reset.

import os
import stat
import time
from collections.abc import Callable, Collection, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from firedamp.errors import EnvironmentFailure, UsageError
from firedamp.outcome import Entry, EntryKind
from firedamp.room.inventory import Fingerprint, Inventory, Node, fingerprint, listing, take, walk
from firedamp.room.lodging import Lodging, choose_base
from firedamp.room.removal import empty, remove
from firedamp.room.vault import Vault, copy, digest, open_ours, open_quietly, same_bytes

CLOCK_REALTIME_COARSE = 5  # linux/time.h; the time module has no name for it
LIMIT_BYTES = 256 << 20
EXCLUDED = frozenset(
    {"results", ".git", ".venv", "venv", "node_modules", ".tox", "__pycache__"}
    | {".mypy_cache", ".pytest_cache", ".ruff_cache", ".hypothesis"}
)


@dataclass(frozen=True, slots=True, kw_only=True)
class CopySize:
    files: int  # entries of every kind
    size_bytes: int  # content of the regular files


class Room:
    """A private copy of `source` (None: an empty folder). A context manager; `path` is where the program runs.

    Modes, mtimes and links are those of the source; owners are ours, hard links become copies, sockets and devices
    are left out, extended attributes too. UsageError: the source has more than `limit_bytes` or 20,000 entries.
    """

    def __init__(
        self,
        source: Path | None,
        scratch: Path | None = None,
        *,
        limit_bytes: int = LIMIT_BYTES,
        exclude: Collection[str] = EXCLUDED,
    ) -> None:
        self._source = source
        self._scratch = scratch
        self._limit_bytes = limit_bytes
        self._exclude = exclude
        self._template: dict[str, dict[str, Node]] = {}  # folder -> name -> what must be there
        self._first_tree: dict[str, Entry] | None = None
        self._seen: dict[str, Fingerprint] = {}  # when it was as it must be
        self._fresh: set[str] = set()  # changed in the clock tick when it was seen: the fingerprint may hide a change
        self._digests: dict[str, tuple[Fingerprint, str]] = {}

    def __enter__(self) -> Self:
        if self._source is not None and not self._source.is_dir():
            raise UsageError(f"{self._source}: is no folder; name one with --workdir")
        source = os.fspath(self._source.resolve()) if self._source is not None else ""
        inventory = take(source, self._limit_bytes, self._exclude) if source else ()
        size = sum(status.st_size for _, status in inventory if stat.S_ISREG(status.st_mode))
        # the kept bytes, the working copy, and as much as a source may have for what the program writes
        self._lodging = Lodging(choose_base(self._scratch, 2 * size + self._limit_bytes))
        try:
            self._furnish(source, inventory)
        except BaseException:
            self._lodging.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._lodging.close()

    @property
    def path(self) -> Path:
        """The working folder."""
        return self._path

    @property
    def tmp(self) -> Path:
        """For TMPDIR: beside the working folder, empty after each reset."""
        return self._tmp_path

    @property
    def shadows(self) -> Path:
        """An empty folder on the same file system, out of the program's sight: for second names of its files."""
        return Path(self._shadows)

    def reset(self) -> None:
        """Put both folders back to their starting bytes. Nothing of the program may be alive any more."""
        try:
            self._reset()
        except OSError as error:
            raise EnvironmentFailure(
                f"{error.filename}: the private copy cannot be put back ({error.strerror}); "
                "end processes that still use it, or give a folder on another file system with --scratch"
            ) from error

    def adopt(self) -> None:
        """What lies in the working folder now is what `reset` goes back to: after a `setup` has run."""
        root = os.lstat(self._root)
        unlocked: dict[str, int] = {}
        try:
            inventory = take(self._root, self._limit_bytes, unlocked=unlocked)
            self._vault.clear()
            self._learn(self._root, root, inventory, open_ours)
        finally:
            self._relock(unlocked)
        now_ns = _coarse_now_ns()
        for node in self._nodes():
            self._settle(node, now_ns)

    def tree(self) -> dict[str, Entry]:
        """What lies in the working folder, by path relative to it. Unchanged files are not read again."""
        unlocked: dict[str, int] = {}
        now_ns = _coarse_now_ns()
        try:
            return {path: self._entry(path, status, now_ns) for path, status in walk(self._root, unlocked=unlocked)}
        finally:
            self._relock(unlocked)

    def first_tree(self) -> dict[str, Entry]:
        """`tree` right after a reset, which is the same after each of them."""
        if self._first_tree is None:
            self._first_tree = self.tree()
        return self._first_tree

    def temporary(self) -> tuple[str, ...]:
        """What lies in the folder for TMPDIR, relative to it."""
        return tuple(sorted(path for path, _ in walk(self._tmp, unlocked={})))

    def _furnish(self, source: str, inventory: Inventory) -> None:
        lodging = os.fspath(self._lodging.path)
        stage = f"{lodging}/room"  # all that the program sees through ".."
        os.mkdir(stage, 0o700)
        self._root, self._tmp, self._trash = f"{stage}/work", f"{stage}/tmp", f"{lodging}/trash"
        self._shadows = f"{lodging}/shadows"
        self._path, self._tmp_path = Path(self._root), Path(self._tmp)
        for folder in (self._root, self._tmp, self._trash, self._shadows):
            os.mkdir(folder, 0o700)
        self._vault = Vault(f"{lodging}/vault")
        try:
            self._learn(source, os.stat(source or self._root), inventory, open_quietly)
        except OSError as error:
            raise UsageError(
                f"{error.filename}: cannot be copied ({error.strerror}); make it readable, or name another folder "
                "with --workdir"
            ) from error
        self.reset()

    def _learn(self, root: str, status: os.stat_result, inventory: Inventory, opener: Callable[[str], int]) -> None:
        """Make what lies in `root` the template."""
        self._root_node = Node("", status.st_mode, status.st_mtime_ns)
        self._template = {"": {}}
        self._first_tree = None
        self._seen.clear()
        for path, status in inventory:
            link = kept = ""
            match stat.S_IFMT(status.st_mode):
                case stat.S_IFDIR:
                    self._template[path] = {}
                case stat.S_IFREG:
                    kept = self._vault.keep(opener(f"{root}/{path}"))
                case stat.S_IFLNK:
                    link = os.readlink(f"{root}/{path}")
                case stat.S_IFIFO:
                    pass
                case _:
                    continue  # a socket or a device
            folder, _, name = path.rpartition("/")
            self._template[folder][name] = Node(path, status.st_mode, status.st_mtime_ns, link, kept)
        size = sum(status.st_size for _, status in inventory if stat.S_ISREG(status.st_mode))
        self.copy_size = CopySize(files=len(inventory), size_bytes=size)

    def _nodes(self) -> Iterator[Node]:
        """Children before their folders, so that no folder is shut while there is work in it."""
        for folder in reversed(self._template.values()):
            yield from folder.values()
        yield self._root_node

    def _reset(self) -> None:
        now_ns = _coarse_now_ns()
        empty(self._tmp, self._trash)
        if not _is_our_folder(self._root):
            with suppress(FileNotFoundError):
                remove(self._root, self._trash)
            os.mkdir(self._root, 0o700)
        changed: list[Node] = []
        waiting = [self._root_node]
        while waiting:
            folder = waiting.pop()
            if not self._reset_folder(folder, now_ns):
                changed.append(folder)
            waiting += [node for node in self._template[folder.path].values() if stat.S_ISDIR(node.mode)]
        for folder in reversed(changed):
            self._settle(folder, now_ns)

    def _reset_folder(self, folder: Node, now_ns: int) -> bool:
        """Put back what lies in one folder, subfolders aside; false: the folder's own mode and times are to be set."""
        expected = self._template[folder.path]
        intact = self._is_intact(folder, os.lstat(f"{self._root}/{folder.path}"), now_ns)
        unlocked: dict[str, int] = {}
        missing = dict(expected)
        for entry in listing(self._root, folder.path, unlocked):
            node = expected.get(entry.name)
            if node is not None and self._is_present(node, entry.stat(follow_symlinks=False), now_ns):
                del missing[entry.name]
            else:
                remove(entry.path, self._trash)
                intact = False
        for node in missing.values():
            self._create(node, now_ns)
        return intact and not missing and not unlocked

    def _is_present(self, node: Node, status: os.stat_result, now_ns: int) -> bool:
        if stat.S_ISDIR(node.mode):
            return stat.S_ISDIR(status.st_mode) and status.st_uid == os.geteuid()
        return self._is_intact(node, status, now_ns)

    def _is_intact(self, node: Node, status: os.stat_result, now_ns: int) -> bool:
        """As it must be. A file that was read (or mapped), or that we wrote in the same clock tick, is compared."""
        found, seen = fingerprint(status), self._seen.get(node.path)
        if found == seen and node.path not in self._fresh:
            return True
        if seen is None or found[:-1] != seen[:-1] or not self._is_same(node):
            return False
        if found == seen:
            self._see(node.path, status, now_ns)
        else:
            self._settle(node, now_ns)  # the access time goes back too, so that the next reading shows
        return True

    def _is_same(self, node: Node) -> bool:
        path = f"{self._root}/{node.path}"
        match stat.S_IFMT(node.mode):
            case stat.S_IFREG:
                return same_bytes(path, node.copy)
            case stat.S_IFLNK:
                return os.readlink(path) == node.link
            case _:
                return True

    def _create(self, node: Node, now_ns: int) -> None:
        path = f"{self._root}/{node.path}"
        match stat.S_IFMT(node.mode):
            case stat.S_IFDIR:
                os.mkdir(path, 0o700)
                return  # it is settled when all is in it
            case stat.S_IFREG:
                copy(open_quietly(node.copy), path)
            case stat.S_IFLNK:
                os.symlink(node.link, path)
            case stat.S_IFIFO:
                os.mkfifo(path)
        self._settle(node, now_ns)

    def _settle(self, node: Node, now_ns: int) -> None:
        path = f"{self._root}/{node.path}"
        if not stat.S_ISLNK(node.mode):
            os.chmod(path, stat.S_IMODE(node.mode))
        # relatime (mount(8)) moves the access time at the next reading only if it is not later than mtime
        os.utime(path, ns=(node.mtime_ns, node.mtime_ns), follow_symlinks=False)
        self._see(node.path, os.lstat(path), now_ns)

    def _see(self, path: str, status: os.stat_result, now_ns: int) -> None:
        self._seen[path] = fingerprint(status)
        if status.st_ctime_ns >= now_ns:
            self._fresh.add(path)
        else:
            self._fresh.discard(path)

    def _relock(self, unlocked: dict[str, int]) -> None:
        for path, mode in reversed(unlocked.items()):
            os.chmod(f"{self._root}/{path}", mode)

    def _entry(self, path: str, status: os.stat_result, now_ns: int) -> Entry:
        mode = stat.S_IMODE(status.st_mode)
        match stat.S_IFMT(status.st_mode):
            case stat.S_IFREG:
                content = self._digest(path, status, now_ns)
                return Entry(kind=EntryKind.FILE, mode=mode, size=status.st_size, digest=content)
            case stat.S_IFDIR:
                return Entry(kind=EntryKind.FOLDER, mode=mode)
            case stat.S_IFLNK:
                return Entry(kind=EntryKind.LINK, mode=mode, digest=os.readlink(f"{self._root}/{path}"))
            case _:
                return Entry(kind=EntryKind.OTHER, mode=mode)

    def _digest(self, path: str, status: os.stat_result, now_ns: int) -> str:
        found = fingerprint(status)
        known = self._digests.get(path)
        if known is not None and known[0] == found:
            return known[1]
        content = digest(f"{self._root}/{path}")
        if status.st_ctime_ns < now_ns:
            self._digests[path] = found, content
        return content


def _is_our_folder(path: str) -> bool:
    try:
        status = os.lstat(path)
    except FileNotFoundError:
        return False
    return stat.S_ISDIR(status.st_mode) and status.st_uid == os.geteuid()


def _coarse_now_ns() -> int:
    """The clock that dates files (current_time() in fs/inode.c): what has an earlier ctime was changed before now."""
    return time.clock_gettime_ns(CLOCK_REALTIME_COARSE)
