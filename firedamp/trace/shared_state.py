"""What a process and its copy share: folders, open files and their offsets. Remembered, and put back after each copy.

A file that the original has open must come back as the very same file under the very same directory entry: one whose
last name is gone cannot be given a name again (linkat(2), ENOENT), and /proc/PID/fd would call it deleted. So before a
copy takes any name away, the open files move aside (`step_aside`), and new links to them stand in their places.
Owners and extended attributes are not put back.
"""

# ruff: noqa: PTH101, PTH102, PTH104, PTH106, PTH108, PTH115, PTH116, PTH208, PTH211
# `os` and not pathlib: names of any bytes, descriptors, and many calls for each copy.

import os
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from ctypes import CDLL, c_long, get_errno
from dataclasses import dataclass, field
from fcntl import F_GETFL, F_SETFL, fcntl
from time import clock_gettime_ns

CLOCK_REALTIME_COARSE = 5  # linux/time.h: it dates files, so what was changed before now has an earlier ctime
PIDFD_OPEN, PIDFD_GETFD = 434, 438
MOST_BYTES = 32 << 20  # of all files together; more is left to fresh processes
OPEN_FLAGS = os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOATIME

_libc = CDLL(None, use_errno=True)
_syscall: Callable[..., int] = _libc.syscall
_libc.syscall.restype = c_long

Identity = tuple[int, int, int]  # device, inode, type: some file systems use a number again at once
Version = tuple[int, int, int, int, int]


class Unrestorable(Exception):
    """The state cannot be remembered or put back: the original may not go on."""


@dataclass(frozen=True, slots=True)
class Node:
    """One thing in a folder."""

    status: os.stat_result
    link: str = ""


@dataclass(frozen=True, slots=True)
class OpenFile:
    """One description of the original's, by a duplicate of ours. `path` opens the same file anew, if it has to."""

    descriptor: int
    path: str
    offset: int
    flags: int
    status: os.stat_result

    @property
    def writes(self) -> bool:
        return self.flags & os.O_ACCMODE != os.O_RDONLY and stat.S_ISREG(self.status.st_mode)


def identity(status: os.stat_result) -> Identity:
    return status.st_dev, status.st_ino, stat.S_IFMT(status.st_mode)


def version(status: os.stat_result) -> Version:
    return status.st_ino, status.st_ctime_ns, status.st_mtime_ns, status.st_size, status.st_mode


@dataclass(slots=True)
class Contents:
    """Bytes of files as they were, kept from one place to the next while they do not change."""

    known: dict[Identity, tuple[Version, bytes]] = field(default_factory=dict)
    size_bytes: int = 0
    now_ns: int = 0

    def begin(self) -> None:
        self.size_bytes = 0
        self.now_ns = clock_gettime_ns(CLOCK_REALTIME_COARSE)

    def keep(self, path: str, status: os.stat_result, *, follow: bool = False) -> None:
        self.size_bytes += status.st_size
        if self.size_bytes > MOST_BYTES:
            raise Unrestorable(f"its files are larger than {MOST_BYTES >> 20} MiB")
        found = version(status)
        known = self.known.get(identity(status))
        if known is None or known[0] != found or status.st_ctime_ns >= self.now_ns:
            self.known[identity(status)] = found, read(path, status.st_size, follow=follow)

    def of(self, status: os.stat_result) -> bytes:
        return self.known[identity(status)][1]

    def is_same(self, path: str, was: os.stat_result, found: os.stat_result) -> bool:
        if version(was) == version(found) and was.st_ctime_ns < self.now_ns:
            return True
        return was.st_size == found.st_size and read(path, found.st_size) == self.of(was)


def read(path: str, size: int, *, follow: bool = False) -> bytes:
    flags = OPEN_FLAGS & ~os.O_NOFOLLOW if follow else OPEN_FLAGS
    descriptor = os.open(path, os.O_RDONLY | flags)
    try:
        return os.pread(descriptor, size, 0)
    finally:
        os.close(descriptor)


def rewrite(path: str, content: bytes) -> None:
    """In place. `path` may be a link of /proc/PID/fd."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
    try:
        os.ftruncate(descriptor, 0)
        while content:
            content = content[os.write(descriptor, content) :]
    finally:
        os.close(descriptor)


class Shared:
    """`folders` are put back with all that is in them; `shadows` is an empty folder on their file system."""

    def __init__(self, folders: tuple[str, ...], shadows: str) -> None:
        self._folders = folders
        self._shadows = shadows
        self._contents = Contents()
        self._files: tuple[OpenFile, ...] = ()
        self._folder: OpenFile | None = None
        self._nodes: dict[str, Node] = {}
        self._open: dict[str, Identity] = {}  # places of files that the original has open
        self._aside: dict[str, str] = {}  # the entries of these, now: second name -> place
        self._second: dict[Identity, str] = {}

    @contextmanager
    def held(self, pid: int) -> Iterator[None]:
        """What there is now is what `put_back` goes back to, as long as this lasts."""
        try:
            try:
                self._remember(pid)
            except OSError as error:
                raise Unrestorable(f"its files cannot be remembered ({error.strerror})") from error
            yield
        finally:
            self._release()

    def step_aside(self) -> None:
        """A copy is about to remove or rename something, who knows what."""
        for place, key in self._open.items():
            try:
                if identity(os.lstat(place)) != key or key in self._second:
                    continue
                second = f"{self._shadows}/{len(self._second)}"
                os.rename(place, second)
                os.link(second, place, follow_symlinks=False)
            except OSError:
                continue  # a copy changed the folder so that we cannot: put_back will say so
            self._aside[second] = place
            self._second[key] = second

    def true_path(self, path: str | None) -> str | None:
        """What /proc/PID/fd would say had nothing stepped aside."""
        place = self._aside.get(path) if path is not None else None
        if place is None or path is None:
            return path
        return place if self._holds(place, path) else f"{place} (deleted)"

    @staticmethod
    def _holds(place: str, second: str) -> bool:
        try:
            return os.path.samestat(os.lstat(place), os.lstat(second))
        except OSError:
            return False

    def put_back(self) -> None:
        """As it was. Raises Unrestorable."""
        try:
            self._put_files_back()
            found = walk(self._folders)
            if not self._is_intact(found) or self._second:
                self._put_names_back(found)
                self._put_content_back()
            self._check()
        except OSError as error:
            raise Unrestorable(f"its files cannot be put back ({error.strerror})") from error

    def _check(self) -> None:
        for file in (*self._files, *((self._folder,) if self._folder is not None else ())):
            if os.fstat(file.descriptor).st_nlink == 0 and file.status.st_nlink > 0:
                raise Unrestorable("a file that it has open lost its name")

    # -- remembering --------------------------------------------------------------------------------------------

    def _remember(self, pid: int) -> None:
        self._contents.begin()
        self._folder = folder_of(pid)
        for file in open_files(pid):
            self._files = (*self._files, file)  # one by one: `_release` closes those that there are
        self._nodes = walk(self._folders)
        named = {identity(node.status): path for path, node in self._nodes.items()}
        for file in self._files:
            if file.writes and identity(file.status) not in named:
                self._contents.keep(file.path, file.status, follow=True)
        for path, node in self._nodes.items():
            if stat.S_ISREG(node.status.st_mode):
                self._contents.keep(path, node.status)
        self._open = {
            place: identity(file.status)
            for file in self._files
            if stat.S_ISREG(file.status.st_mode) and (place := named.get(identity(file.status)))
        }

    def _release(self) -> None:
        for file in (*self._files, *((self._folder,) if self._folder is not None else ())):
            os.close(file.descriptor)
        self._files, self._folder = (), None

    # -- putting back -------------------------------------------------------------------------------------------

    def _put_files_back(self) -> None:
        """Offsets, flags, and the bytes of files that have no name in the folders."""
        for file in self._files:
            if file.writes and identity(file.status) in self._contents.known and file.status.st_nlink == 0:
                self._put_nameless_back(file)
            if os.lseek(file.descriptor, 0, os.SEEK_CUR) != file.offset:
                os.lseek(file.descriptor, file.offset, os.SEEK_SET)
            if fcntl(file.descriptor, F_GETFL) != file.flags:
                fcntl(file.descriptor, F_SETFL, file.flags)

    def _put_nameless_back(self, file: OpenFile) -> None:
        found = os.fstat(file.descriptor)
        content = self._contents.of(file.status)
        if version(found) != version(file.status) and (
            found.st_size != len(content) or read(file.path, found.st_size, follow=True) != content
        ):
            rewrite(file.path, content)

    def _is_intact(self, found: dict[str, Node]) -> bool:
        if found.keys() != self._nodes.keys():
            return False
        return all(
            version(node.status) == version(self._nodes[path].status)
            and node.link == self._nodes[path].link
            and (not stat.S_ISREG(node.status.st_mode) or node.status.st_ctime_ns < self._contents.now_ns)
            for path, node in found.items()
        )

    def _put_names_back(self, found: dict[str, Node]) -> None:
        """Each name stands again for the same file, or for a new one if that is gone."""
        wrong = {path: node for path, node in found.items() if not self._stands(path, node)}
        needed = {identity(node.status) for node in self._nodes.values() if stat.S_ISREG(node.status.st_mode)}
        for path, node in wrong.items():  # a file that only changed its name must not be lost
            if identity(node.status) in needed - self._second.keys():
                second = f"{self._shadows}/{len(self._second)}"
                os.rename(path, second)
                self._second[identity(node.status)] = second
                del found[path]
        for path in sorted(wrong.keys() & found.keys(), key=len, reverse=True):
            if stat.S_ISDIR(wrong[path].status.st_mode):
                os.rmdir(path)
            else:
                os.unlink(path)
        for path, node in self._nodes.items():  # folders come before what is in them
            if path not in found or path in wrong:
                self._make(path, node)
        for second in self._second.values():
            if second.startswith(self._shadows):  # its name stands, this was one more
                os.unlink(second)
        self._aside.clear()
        self._second.clear()

    def _stands(self, path: str, node: Node) -> bool:
        was = self._nodes.get(path)
        if was is None or identity(node.status) in self._second:
            return False  # a name of a file that stepped aside is a stand-in
        return identity(was.status) == identity(node.status) and was.link == node.link

    def _make(self, path: str, node: Node) -> None:
        second = self._second.get(identity(node.status))
        mode = node.status.st_mode
        if second is not None:
            if second.startswith(self._shadows):
                os.rename(second, path)
            else:
                os.link(second, path, follow_symlinks=False)
            self._second[identity(node.status)] = path  # for a further name of it
        elif stat.S_ISDIR(mode):
            os.mkdir(path, 0o700)
        elif stat.S_ISLNK(mode):
            os.symlink(node.link, path)
        elif stat.S_ISREG(mode):
            os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
        elif stat.S_ISFIFO(mode):
            os.mkfifo(path)
        else:
            raise Unrestorable("a socket or a device lost its name")

    def _put_content_back(self) -> None:
        for path, node in reversed(self._nodes.items()):  # a folder's times last
            was, found = node.status, os.lstat(path)
            if version(was) == version(found) and was.st_ctime_ns < self._contents.now_ns:
                continue
            if stat.S_ISREG(was.st_mode) and not self._contents.is_same(path, was, found):
                rewrite(path, self._contents.of(was))
            if not stat.S_ISLNK(was.st_mode) and found.st_mode != was.st_mode:
                os.chmod(path, stat.S_IMODE(was.st_mode))
            if (was.st_atime_ns, was.st_mtime_ns) != (found.st_atime_ns, os.lstat(path).st_mtime_ns):
                os.utime(path, ns=(was.st_atime_ns, was.st_mtime_ns), follow_symlinks=False)


def folder_of(pid: int) -> OpenFile:
    """The working folder, to be told whether it is still there."""
    descriptor = os.open(f"/proc/{pid}/cwd", os.O_PATH | os.O_CLOEXEC)
    return OpenFile(descriptor, "", 0, 0, os.fstat(descriptor))


def open_files(pid: int) -> Iterator[OpenFile]:
    """Regular files and folders; the duplicates are the caller's to close."""
    process = _checked(_syscall(PIDFD_OPEN, pid, 0))
    try:
        for name in os.listdir(f"/proc/{pid}/fd"):
            path = f"/proc/{pid}/fd/{name}"
            status = os.stat(path)
            if not stat.S_ISREG(status.st_mode) and not stat.S_ISDIR(status.st_mode):
                continue
            descriptor = _checked(_syscall(PIDFD_GETFD, process, int(name), 0))
            yield OpenFile(descriptor, path, os.lseek(descriptor, 0, os.SEEK_CUR), fcntl(descriptor, F_GETFL), status)
    finally:
        os.close(process)


def _checked(result: int) -> int:
    if result < 0:
        raise OSError(get_errno(), os.strerror(get_errno()))
    return result


def walk(folders: tuple[str, ...]) -> dict[str, Node]:
    """All that lies there, by absolute path, folders before their content, and the folders themselves."""
    found = {folder: Node(os.lstat(folder)) for folder in folders}
    waiting = list(folders)
    while waiting:
        with os.scandir(waiting.pop()) as entries:
            for entry in entries:
                status = entry.stat(follow_symlinks=False)
                link = os.readlink(entry.path) if stat.S_ISLNK(status.st_mode) else ""
                found[entry.path] = Node(status, link)
                if stat.S_ISDIR(status.st_mode):
                    waiting.append(entry.path)
    return found
