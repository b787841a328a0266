"""Landlock: a program may write beneath a few folders and nowhere else. Reading and executing stay free.

landlock(7), linux/landlock.h. A kernel without Landlock is no error here: `level` says so, and whoever runs something
hostile reports it.
"""

import ctypes
import functools
import os
import struct
from pathlib import Path

# x86-64 numbers (arch/x86/entry/syscalls/syscall_64.tbl)
LANDLOCK_CREATE_RULESET, LANDLOCK_ADD_RULE, LANDLOCK_RESTRICT_SELF = 444, 445, 446
LANDLOCK_CREATE_RULESET_VERSION = 1
LANDLOCK_RULE_PATH_BENEATH = 1
PR_SET_NO_NEW_PRIVS = 38

WRITE_FILE = 1 << 1
REMOVE_DIR, REMOVE_FILE = 1 << 4, 1 << 5
MAKE = sum(1 << bit for bit in range(6, 13))  # char, dir, reg, sock, fifo, block, sym
REFER, TRUNCATE = 1 << 13, 1 << 14
SCOPE_ABSTRACT_UNIX_SOCKET, SCOPE_SIGNAL = 1, 2
FIRST_WITH = {REFER: 2, TRUNCATE: 3}  # ABI that knows the right
SCOPED_ABI = 6
FILE_RIGHTS = WRITE_FILE | TRUNCATE  # what may be granted on something that is no folder

# Without these, redirections to /dev/null would fail; what they swallow is nobody's data.
DEVICES = ("/dev/null", "/dev/zero", "/dev/full", "/dev/tty", "/dev/random", "/dev/urandom")

_libc = ctypes.CDLL(None, use_errno=True)
_syscall = _libc.syscall
_syscall.restype = ctypes.c_long


@functools.cache
def abi() -> int:
    """The kernel's Landlock version, 0 where there is none."""
    version: int = _syscall(LANDLOCK_CREATE_RULESET, None, ctypes.c_size_t(0), LANDLOCK_CREATE_RULESET_VERSION)
    return max(version, 0)


def level() -> str:
    return f"landlock {abi()}" if abi() else "none: this kernel has no Landlock, or it is switched off"


def write_rights() -> int:
    """Every right to change the file system that this kernel can take away."""
    newer = sum(right for right, first in FIRST_WITH.items() if abi() >= first)
    return WRITE_FILE | REMOVE_DIR | REMOVE_FILE | MAKE | newer


def ruleset(writable: tuple[Path, ...]) -> int | None:
    """A descriptor (close-on-exec) of a ruleset that allows writing beneath `writable` alone; None without Landlock.

    From ABI 6 on, signals to processes outside and abstract sockets of theirs are out of reach as well.
    """
    if not abi():
        return None
    rights = write_rights()
    attributes = struct.pack("=QQ", rights, 0)
    if abi() >= SCOPED_ABI:
        attributes += struct.pack("=Q", SCOPE_SIGNAL | SCOPE_ABSTRACT_UNIX_SOCKET)
    fd: int = _checked(LANDLOCK_CREATE_RULESET, attributes, ctypes.c_size_t(len(attributes)), 0)
    try:
        for path in writable:
            _allow(fd, path, rights)
        for device in DEVICES:
            if Path(device).exists():
                _allow(fd, Path(device), rights & FILE_RIGHTS)
    except BaseException:
        os.close(fd)
        raise
    return fd


def restrict_self(fd: int) -> None:
    """Confine this thread and all that it starts, for good."""
    if _libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_NO_NEW_PRIVS)")
    _checked(LANDLOCK_RESTRICT_SELF, fd, 0)


def _allow(ruleset_fd: int, path: Path, rights: int) -> None:
    parent = os.open(path, os.O_PATH | os.O_CLOEXEC)
    try:
        rule = struct.pack("=Qi", rights if path.is_dir() else rights & FILE_RIGHTS, parent)
        _checked(LANDLOCK_ADD_RULE, ruleset_fd, LANDLOCK_RULE_PATH_BENEATH, rule, 0)
    finally:
        os.close(parent)


def _checked(number: int, *arguments: object) -> int:
    result: int = _syscall(number, *arguments)
    if result < 0:
        code = ctypes.get_errno()
        raise OSError(code, f"landlock: {os.strerror(code)}")
    return result
