"""The room: a private copy of the working folder in which a program runs, put back to its first bytes before each run.

Nothing outside is ever written. A room that a killed process left behind is swept by the next one that opens a room.
"""

import contextlib
import hashlib
import os
import shutil
import stat
import tempfile
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from firedamp.errors import UsageError
from firedamp.outcome import Entry, EntryKind

MEBIBYTE = 1 << 20
LIMIT_BYTES = 256 * MEBIBYTE
LIMIT_FILES = 20_000
MEMORY_FOLDER = Path("/dev/shm")
PREFIX = "firedamp-"
# Of the top level: what tools keep there is no input of the program, and may be huge.
EXCLUDED = ("results", ".git", ".venv", ".mypy_cache", ".ruff_cache", ".pytest_cache", ".hypothesis", "__pycache__")


@dataclass(frozen=True, slots=True)
class _Stamp:
    """What changes when a file changes: nobody can set a ctime (inode(7))."""

    mode: int
    inode: int
    size: int
    mtime_ns: int
    ctime_ns: int

    @classmethod
    def of(cls, status: os.stat_result) -> Self:
        size = 0 if stat.S_ISDIR(status.st_mode) else status.st_size
        # A folder's times change with its entries, which are looked at one by one.
        times = (0, 0) if stat.S_ISDIR(status.st_mode) else (status.st_mtime_ns, status.st_ctime_ns)
        return cls(status.st_mode, status.st_ino, size, *times)


class Room:
    """Context manager. `path` is where the program runs, `tmp` its private folder for temporary files beside it."""

    def __init__(
        self,
        source: Path | None,
        scratch: Path | None = None,
        limit_bytes: int = LIMIT_BYTES,
        exclude: Collection[str] = EXCLUDED,
    ) -> None:
        """UsageError when `source` is no folder or larger than the limits."""
        self._source = source
        self._exclude = frozenset(exclude)
        self.copy_bytes = _measure(source, self._exclude, limit_bytes) if source is not None else 0
        self._scratch = scratch or _scratch(self.copy_bytes)
        self._digests: dict[str, tuple[_Stamp, str]] = {}
        self._stamps: dict[str, _Stamp] = {}

    def __enter__(self) -> Self:
        _sweep(self._scratch)
        prefix = f"{PREFIX}{os.getpid()}-{_start_time(os.getpid())}-"
        self._folder = Path(tempfile.mkdtemp(prefix=prefix, dir=self._scratch))
        self.path, self.tmp, self._template = (self._folder / name for name in ("work", "tmp", "template"))
        try:
            self._template.mkdir()
            self.tmp.mkdir()
            if self._source is not None:
                _copy_folder(self._source, self._template, self._exclude)
            shutil.copystat(self._source or self._template, self._template)
            self._lay()
        except BaseException:
            _remove(self._folder)
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        _remove(self._folder)

    def reset(self) -> None:
        """Back to the first bytes; costs one stat per file where nothing changed."""
        _empty(self.tmp)
        now = _stamps(self.path)
        if now == self._stamps:
            return
        for name in sorted(now.keys() - self._stamps.keys()):
            _remove(self.path / name)
        for name in sorted(name for name, stamp in self._stamps.items() if now.get(name) != stamp):
            self._restore(name)
        self._stamps = _stamps(self.path)

    def adopt(self) -> None:
        """What is here now is what each run starts from."""
        _remove(self._template)
        self._template.mkdir()
        _copy_folder(self.path, self._template, frozenset())
        self._stamps = _stamps(self.path)

    def tree(self) -> dict[str, Entry]:
        """Everything below `path` by relative name (surrogateescape), with SHA-256 digests."""
        return {name: self._entry(name, status) for name, status in _walk(self.path) if name}

    def _entry(self, name: str, status: os.stat_result) -> Entry:
        mode = stat.S_IMODE(status.st_mode)
        path = self.path / name
        if stat.S_ISDIR(status.st_mode):
            return Entry(kind=EntryKind.FOLDER, mode=mode)
        if stat.S_ISLNK(status.st_mode):
            return Entry(kind=EntryKind.LINK, mode=mode, digest=str(path.readlink()))
        if not stat.S_ISREG(status.st_mode):
            return Entry(kind=EntryKind.OTHER, mode=mode)
        stamp = _Stamp.of(status)
        known = self._digests.get(name)
        if known is None or known[0] != stamp:
            known = (stamp, _digest(path))
            self._digests[name] = known
        return Entry(kind=EntryKind.FILE, mode=mode, size=status.st_size, digest=known[1])

    def _lay(self) -> None:
        self.path.mkdir()
        _copy_folder(self._template, self.path, frozenset())
        shutil.copystat(self._template, self.path)
        self._stamps = _stamps(self.path)

    def _restore(self, name: str) -> None:
        original, place = self._template / name, self.path / name
        status = original.lstat()
        if stat.S_ISDIR(status.st_mode):
            if not place.is_dir() or place.is_symlink():
                _remove(place)
                place.mkdir()
            shutil.copystat(original, place)
            return
        _remove(place)
        _copy(original, place, status)


def _measure(source: Path, exclude: frozenset[str], limit_bytes: int) -> int:
    """Bytes below `source`, counted only as far as the limits go."""
    if not source.is_dir():
        raise UsageError(f"{source}: is no folder; name the folder that the program works in (--workdir)")
    total = 0
    for files, (_, status) in enumerate(_walk(source, exclude), 1):
        total += status.st_size if stat.S_ISREG(status.st_mode) else 0
        if total > limit_bytes or files > LIMIT_FILES:
            raise UsageError(
                f"{source}: holds more than {limit_bytes // MEBIBYTE} MiB or {LIMIT_FILES} files, and each run needs a "
                "private copy of it; name a smaller folder with --workdir"
            )
    return total


def _scratch(needed_bytes: int) -> Path:
    """Memory where it is plenty (one copy to work in, one to restore from, as much again to grow), else the disk."""
    with contextlib.suppress(OSError):
        space = os.statvfs(MEMORY_FOLDER)
        if os.access(MEMORY_FOLDER, os.W_OK) and space.f_bavail * space.f_frsize > 4 * needed_bytes + LIMIT_BYTES:
            return MEMORY_FOLDER
    return Path(tempfile.gettempdir())


def _walk(root: Path, exclude: frozenset[str] = frozenset()) -> Iterator[tuple[str, os.stat_result]]:
    """Relative names with their lstat, a folder before its entries; "" is the root. What vanishes is left out."""
    yield "", root.lstat()
    pending = [("", os.fspath(root))]
    while pending:
        prefix, folder = pending.pop()
        with contextlib.suppress(FileNotFoundError), _readable(folder), os.scandir(folder) as entries:
            for entry in entries:
                if not prefix and entry.name in exclude:
                    continue
                name = prefix + entry.name
                yield name, entry.stat(follow_symlinks=False)
                if entry.is_dir(follow_symlinks=False):
                    pending.append((f"{name}/", entry.path))


@contextlib.contextmanager
def _readable(folder: str) -> Iterator[None]:
    """A program may have taken the owner's own rights away: lend them for as long as it takes to look."""
    if os.access(folder, os.R_OK | os.X_OK):
        yield
        return
    mode = stat.S_IMODE(os.lstat(folder).st_mode)
    os.chmod(folder, mode | stat.S_IRWXU)  # noqa: PTH101
    try:
        yield
    finally:
        os.chmod(folder, mode)  # noqa: PTH101


def _stamps(root: Path) -> dict[str, _Stamp]:
    return {name: _Stamp.of(status) for name, status in _walk(root)}


def _copy_folder(source: Path, target: Path, exclude: Collection[str]) -> None:
    folders = []
    for name, status in _walk(source, frozenset(exclude)):
        if not name:
            continue
        if stat.S_ISDIR(status.st_mode):
            (target / name).mkdir()
            folders.append(name)
        else:
            _copy(source / name, target / name, status)
    for name in reversed(folders):  # after their entries, whose creation would change their times, or be forbidden
        shutil.copystat(source / name, target / name)


def _copy(source: Path, target: Path, status: os.stat_result) -> None:
    """A file with its times and mode. Sockets and devices belong to running programs and to root: left out."""
    if stat.S_ISLNK(status.st_mode):
        target.symlink_to(source.readlink())
    elif stat.S_ISFIFO(status.st_mode):
        os.mkfifo(target, stat.S_IMODE(status.st_mode))
    elif stat.S_ISREG(status.st_mode):
        shutil.copyfile(source, target)
    else:
        return
    shutil.copystat(source, target, follow_symlinks=False)


def _digest(path: Path) -> str:
    try:
        with path.open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()
    except PermissionError:
        mode = stat.S_IMODE(path.lstat().st_mode)
        path.chmod(mode | stat.S_IRUSR)
        try:
            with path.open("rb") as stream:
                return hashlib.file_digest(stream, "sha256").hexdigest()
        finally:
            path.chmod(mode)


def _empty(folder: Path) -> None:
    for entry in os.scandir(folder):
        _remove(Path(entry.path))


def _remove(path: Path) -> None:
    """Whatever it is and whatever its modes are; links are not followed. Absent is fine."""
    try:
        status = path.lstat()
    except FileNotFoundError:
        return
    if not stat.S_ISDIR(status.st_mode):
        path.unlink()
        return
    if status.st_mode & stat.S_IRWXU != stat.S_IRWXU:
        path.chmod(stat.S_IRWXU)
    for entry in list(os.scandir(path)):
        _remove(Path(entry.path))
    path.rmdir()


def _start_time(pid: int) -> str | None:
    """Clock ticks since boot, field 22 of /proc/PID/stat (proc(5)): with the pid, the name of one process for ever."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return None
    return text.rpartition(")")[2].split()[19]


def _sweep(scratch: Path) -> None:
    """Remove the rooms of processes that are gone."""
    owners: Mapping[Path, list[str]] = {
        path: path.name.removeprefix(PREFIX).split("-") for path in scratch.glob(f"{PREFIX}*-*-*")
    }
    for path, (pid, started, *_) in owners.items():
        if pid.isdigit() and _start_time(int(pid)) != started:
            with contextlib.suppress(OSError):  # another user's
                _remove(path)
