"""Confinement of a program's writes by Landlock (landlock(7)), with raw system calls: the libc has no wrappers.

Reading and executing stay free. Opened files stay usable: what is confined is opening, creating and removing.
"""

import ctypes
import errno
import os
import stat
import struct
from functools import cache
from pathlib import Path

from firedamp.errors import EnvironmentFailure

# asm/unistd_64.h
CREATE_RULESET, ADD_RULE, RESTRICT_SELF = 444, 445, 446
# linux/landlock.h
CREATE_RULESET_VERSION = 1
RULE_PATH_BENEATH = 1
WRITE_FILE = 1 << 1
REMOVE_AND_MAKE = 0x1FF << 4  # REMOVE_DIR, REMOVE_FILE, MAKE_CHAR, _DIR, _REG, _SOCK, _FIFO, _BLOCK, _SYM
REFER = 1 << 13  # since version 2
TRUNCATE = 1 << 14  # since version 3
SCOPE_ABSTRACT_UNIX_SOCKET, SCOPE_SIGNAL = 1, 2  # since version 6
# linux/prctl.h
PR_SET_NO_NEW_PRIVS = 38

# Version 1 refuses to rename or link from one folder to another, even beneath a writable one, with EXDEV:
# a program would fail because of us.
LEAST_VERSION = 2
DEVICES = tuple(Path("/dev") / name for name in ("null", "zero", "full", "tty", "ptmx", "pts"))

_libc = ctypes.CDLL(None, use_errno=True)


def _call(number: int, *arguments: int | bytes | None) -> int:
    """syscall(2); -errno for an error."""
    words = [ctypes.c_long(word) if isinstance(word, int) else word for word in arguments]
    result: int = _libc.syscall(ctypes.c_long(number), *words)
    return -ctypes.get_errno() if result < 0 else result


@cache
def abi() -> int:
    """Landlock's version; 0 when the kernel has none or has it switched off."""
    return max(0, _call(CREATE_RULESET, None, 0, CREATE_RULESET_VERSION))


def level() -> str:
    """For people: what `ruleset` gives on this kernel."""
    match abi():
        case 0:
            return "none: kernel without Landlock"
        case version if version < LEAST_VERSION:
            return f"none: Landlock {version} would refuse renames between folders"
        case version:
            return f"landlock {version}"


def handled_rights(version: int) -> int:
    """Every right to change the file system that this version knows."""
    rights = WRITE_FILE | REMOVE_AND_MAKE | REFER
    return rights | TRUNCATE if version >= 3 else rights


def ruleset(writable: tuple[Path, ...]) -> int | None:
    """A close-on-exec descriptor for landlock_restrict_self(2); None where `level` says none. The caller closes it.

    Beneath the folders of `writable`, and to its files (also as /proc/self/fd/N), everything is allowed. From version 6
    on, signals and abstract sockets stay inside the confined processes.
    """
    version = abi()
    if version < LEAST_VERSION:
        return None
    rights = handled_rights(version)
    attributes = struct.pack("=Q", rights)
    if version >= 6:
        attributes += struct.pack("=QQ", 0, SCOPE_ABSTRACT_UNIX_SOCKET | SCOPE_SIGNAL)
    made = _call(CREATE_RULESET, attributes, len(attributes), 0)
    if made < 0:
        raise _refused("landlock_create_ruleset", -made)
    try:
        for path in writable:
            _allow(made, path, rights)
        for device in DEVICES:
            if device.exists():
                _allow(made, device, WRITE_FILE)
    except BaseException:
        os.close(made)
        raise
    return made


def restrict_self(descriptor: int) -> None:
    """Confine the calling thread and all that it starts, for good."""
    if _libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0:
        raise _refused("prctl(PR_SET_NO_NEW_PRIVS)", ctypes.get_errno())
    result = _call(RESTRICT_SELF, descriptor, 0)
    if result < 0:
        raise _refused("landlock_restrict_self", -result)


def _allow(ruleset_fd: int, path: Path, rights: int) -> None:
    try:
        held = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except OSError as error:
        raise EnvironmentFailure(
            f"{path}: cannot be made writable for the program ({error.strerror}); it must exist before the run"
        ) from error
    try:
        if not stat.S_ISDIR(os.fstat(held).st_mode):
            rights &= WRITE_FILE | TRUNCATE  # EINVAL for rights that only folders have
        result = _call(ADD_RULE, ruleset_fd, RULE_PATH_BENEATH, struct.pack("=Qi", rights, held), 0)
    finally:
        os.close(held)
    if result < 0:
        raise _refused(f"landlock_add_rule for {path}", -result)


def _refused(what: str, number: int) -> EnvironmentFailure:
    remedy = {
        errno.E2BIG: "16 layers of confinement are the most: start firedamp outside of another sandbox",
        errno.EPERM: "a seccomp filter around us forbids it: start firedamp outside of another sandbox",
    }.get(number, "see landlock(7)")
    return EnvironmentFailure(f"{what}: {os.strerror(number)}; {remedy}")
