"""What a filter can ask of a stopped call. Reads the call, decides nothing.

filename is the name as the program gave it, made absolute (its folder, or the one behind dirfd) and normalised without
following links, as systrace matched it. path is the file itself: links followed, or what stands behind a descriptor.
An attribute that the call does not have is None, and no test of it holds.
"""

import os
import re
import socket
import stat
import struct
from functools import cached_property
from typing import Final

from firedamp.outcome import Frame
from firedamp.trace.protocol import Call
from inject.linux import arguments, syscalls
from inject.linux.syscalls import Kind

AT_FDCWD: Final = -100  # linux/fcntl.h
AT_EMPTY_PATH: Final = 0x1000  # linux/fcntl.h
CREAT_FLAGS: Final = os.O_CREAT | os.O_WRONLY | os.O_TRUNC  # creat(2)
TTY_MAJORS: Final = frozenset({4, 5, *range(136, 144)})  # Documentation/admin-guide/devices.txt
INTERNAL: Final = re.compile(r"__GI_+|__libc_|__|@.*")  # what glibc puts around the name that programs know
LONGEST_SOCKADDR: Final = 128  # sizeof(struct sockaddr_storage)


class View:
    """One stopped call, each attribute computed once at most."""

    def __init__(self, call: Call) -> None:
        self.call = call

    @cached_property
    def name(self) -> str:
        return syscalls.name(self.call.number)

    @cached_property
    def syscall(self) -> syscalls.Syscall:
        return syscalls.table().get(self.name) or syscalls.Syscall(name=self.name, number=self.call.number)

    def values(self, attribute: str, index: int | None) -> tuple[str, ...]:
        """The texts that a test looks at; more than one only for caller. Empty: the call has no such attribute."""
        match attribute:
            case "filename":
                found = self.filename(index or 0)
            case "path":
                found = self.path(index or 0)
            case "fd":
                found = self._text(self.descriptor(index or 0))
            case "oflags":
                found = None if self.open_flags is None else oflags_text(self.open_flags)
            case "mode":
                found = None if self.mode is None else f"{self.mode:o}"
            case "sockaddr":
                found = self.sockaddr
            case "site":
                found = self.site
            case "caller":
                return self.callers
            case _:
                found = arguments.text(self.call, self.syscall, attribute, index or 0)
        return () if found is None else (found,)

    @staticmethod
    def _text(number: int | None) -> str | None:
        return None if number is None else str(number)

    def filename(self, index: int = 0) -> str | None:
        indexes = self._names
        return self._named(indexes[index]) if index < len(indexes) else None

    @property
    def _names(self) -> tuple[int, ...]:
        """What a symbolic link says is a text; it is looked up when the link is followed, if ever."""
        indexes = self.syscall.indexes(Kind.PATH)
        return indexes[1:] if self.name in ("symlink", "symlinkat") else indexes

    def path(self, index: int = 0) -> str | None:
        name = self.filename(index)
        if name is not None:
            return os.path.realpath(name)
        if self.syscall.indexes(Kind.PATH):
            return None
        fd = self.descriptor(index)
        return None if fd is None else self.call.descriptor_path(fd)

    def descriptor(self, index: int = 0) -> int | None:
        indexes = self.syscall.indexes(Kind.FD)
        return signed(self.call.arguments[indexes[index]]) if index < len(indexes) else None

    def _named(self, position: int) -> str | None:
        """The name in one argument, absolute and normalised; None where its memory cannot be read."""
        address = self.call.arguments[position]
        name = os.fsdecode(self.call.string(address)) if address else ""
        if name.startswith("/"):
            return os.path.normpath(name)
        folder = self._folder(position)
        return None if folder is None else os.path.normpath(f"{folder}/{name}")

    def _folder(self, position: int) -> str | None:
        before = position - 1
        if before in self.syscall.indexes(Kind.FD):
            fd = signed(self.call.arguments[before])
            if fd != AT_FDCWD:
                return self.call.descriptor_path(fd)
        return self.call.folder()

    @cached_property
    def opens(self) -> bool:
        return self.name in syscalls.families()["open"]

    @cached_property
    def open_flags(self) -> int | None:
        """Those of the opening call, else of its descriptor."""
        if self.name == "creat":
            return CREAT_FLAGS
        if self.name == "openat2":  # struct open_how: flags, mode, resolve; each 64 bits
            how = self.call.memory(self.call.arguments[2], 8)
            return int.from_bytes(how, "little") if len(how) == 8 else None
        if self.opens:
            return self.call.arguments[self.syscall.find_index("flags") or 0]
        fd = self.descriptor()
        return None if fd is None or self.syscall.indexes(Kind.PATH) else self.call.descriptor_flags(fd)

    @cached_property
    def mode(self) -> int | None:
        index = self.syscall.find_index("mode")
        return None if index is None else self.call.arguments[index] & 0o7777

    @cached_property
    def sockaddr(self) -> str | None:
        indexes = self.syscall.indexes(Kind.SOCKADDR)
        if not indexes or self.name not in arguments.ADDRESSED:
            return None
        address, length = self.call.arguments[indexes[0]], self.call.arguments[indexes[0] + 1]
        if not address:
            return None
        return sockaddr_text(self.call.memory(address, min(length & 0xFFFFFFFF, LONGEST_SOCKADDR)))

    @cached_property
    def stack(self) -> tuple[Frame, ...]:
        return self.call.stack()

    @cached_property
    def site(self) -> str:
        from firedamp.unwind import site_digest

        return site_digest(self.name, self.stack)

    @cached_property
    def callers(self) -> tuple[str, ...]:
        """The functions on the call stack, innermost first; those of the C library by both of their names."""
        from firedamp.symbols import resolve

        named = ((frame.function, frame.own) for frame in resolve(self.stack) if frame.function is not None)
        return tuple(name for function, own in named for name in ({function} if own else known_as(function)))

    @cached_property
    def descriptor_kind(self) -> str | None:
        """file, folder, pipe, socket, tty, device or anon: of the descriptor, or of what an opening call names."""
        fd = self.descriptor()
        target: str | None
        if self.syscall.indexes(Kind.PATH):
            target = self.path() if self.opens else None
        else:
            target = None if fd is None or fd < 0 else f"/proc/{self.call.pid}/fd/{fd}"
        return kind_of(target) if target is not None else None


def is_nameless(view: View) -> bool:
    """newfstatat(fd, "", AT_EMPTY_PATH) is how glibc calls fstat: it looks up no name."""
    index = view.syscall.find_index("flags")
    if view.name not in ("newfstatat", "statx") or index is None:
        return False
    flags, name = view.call.arguments[index], view.call.arguments[1]
    return bool(signed(flags) & AT_EMPTY_PATH) and not view.call.string(name)


def known_as(function: str) -> set[str]:
    """__libc_calloc is calloc, __strdup is strdup, getpwuid_r@@GLIBC_2.2.5 is getpwuid_r."""
    return {function, INTERNAL.sub("", function)}


def signed(register: int) -> int:
    """An int argument out of its 64-bit register."""
    low = register & 0xFFFFFFFF
    return low - (1 << 32) if low >= 1 << 31 else low


def kind_of(path: str) -> str | None:
    """Of what stands at a path; links followed. None when nothing does."""
    try:
        found = os.stat(path)  # noqa: PTH116  # a /proc/PID/fd link must not be made a Path and resolved by text
    except (OSError, ValueError):
        return None
    match stat.S_IFMT(found.st_mode):
        case stat.S_IFREG:
            return "file"
        case stat.S_IFDIR:
            return "folder"
        case stat.S_IFIFO:
            return "pipe"
        case stat.S_IFSOCK:
            return "socket"
        case stat.S_IFCHR:
            return "tty" if os.major(found.st_rdev) in TTY_MAJORS else "device"
        case stat.S_IFBLK:
            return "device"
    return "anon"


def oflags_text(flags: int) -> str:
    """systrace's way: ro, wo, rw or --, then n a c t for O_NONBLOCK, O_APPEND, O_CREAT, O_TRUNC."""
    access = {os.O_RDONLY: "ro", os.O_WRONLY: "wo", os.O_RDWR: "rw"}.get(flags & os.O_ACCMODE, "--")
    letters = {"n": os.O_NONBLOCK, "a": os.O_APPEND, "c": os.O_CREAT, "t": os.O_TRUNC}
    return access + "".join(letter for letter, flag in letters.items() if flags & flag)


def sockaddr_text(raw: bytes) -> str | None:
    """inet-[1.2.3.4]:53, inet6-[::1]:53, a UNIX socket's name, or family-N; None when it is too short to tell."""
    if len(raw) < 2:
        return None
    family = int.from_bytes(raw[:2], "little")
    if family == socket.AF_INET and len(raw) >= 8:
        port, address = struct.unpack("!H4s", raw[2:8])
        return f"inet-[{socket.inet_ntop(socket.AF_INET, address)}]:{port}"
    if family == socket.AF_INET6 and len(raw) >= 24:
        port, _, address = struct.unpack("!HI16s", raw[2:24])
        return f"inet6-[{socket.inet_ntop(socket.AF_INET6, address)}]:{port}"
    if family == socket.AF_UNIX:
        name = raw[2:]
        return os.fsdecode(b"@" + name[1:] if name[:1] == b"\0" else name.split(b"\0")[0])
    return f"family-{family}"
