"""Arguments of calls as a policy writes them: systrace's texts (systrace-translate.c), for Linux's calls and numbers.

Numbers become names by the tables of the kernel's headers; what has no name there stays a number.
"""

import os
import pwd
import signal
import socket
import termios
from typing import Final

from firedamp.trace.protocol import Call
from inject.linux import syscalls
from inject.linux.syscalls import Kind, Syscall

IDENTITIES: Final = (
    *("setuid", "setreuid", "setresuid", "setfsuid", "setgid", "setregid", "setresgid", "setfsgid"),
    *("chown", "lchown", "fchown", "fchownat"),
)
USERS: Final = frozenset({"uid", "ruid", "euid", "suid", "fsuid", "owner"})  # names of arguments
GROUPS: Final = frozenset({"gid", "rgid", "egid", "sgid", "fsgid", "group"})
ARGV: Final = {"execve": 1, "execveat": 2}
RECEIVER: Final = {"kill": 0, "tkill": 0, "tgkill": 0, "rt_sigqueueinfo": 0, "rt_tgsigqueueinfo": 0}
COMMAND: Final = {"ioctl": 1, "fcntl": 1}
ADDRESSED: Final = ("connect", "bind", "sendto")  # elsewhere the kernel fills the address in later
SOCKETS: Final = ("socket", "socketpair")
# Text that is no name of a file that the call looks up: systrace's `string`.
STRINGS: Final = {
    "symlink": (0,),
    "symlinkat": (0,),
    "memfd_create": (0,),
    "sethostname": (0,),
    "setdomainname": (0,),
    "mount": (2,),
    "add_key": (0, 1),
    "request_key": (0, 1),
    "setxattr": (1,),
    "lsetxattr": (1,),
    "fsetxattr": (1,),
    "getxattr": (1,),
    "lgetxattr": (1,),
    "fgetxattr": (1,),
    "removexattr": (1,),
    "lremovexattr": (1,),
    "fremovexattr": (1,),
}
SIZED: Final = ("sethostname", "setdomainname")  # (text, length): no NUL at the end
LONGEST_HOST_NAME: Final = 65  # __NEW_UTS_LEN + 1, linux/utsname.h
MOST_ARGUMENTS: Final = 4096  # of an execve: far above what a filter could want
SOCK_TYPE_MASK: Final = 0xF  # linux/net.h

FCNTL: Final = {  # asm-generic/fcntl.h, linux/fcntl.h
    0: "F_DUPFD", 1: "F_GETFD", 2: "F_SETFD", 3: "F_GETFL", 4: "F_SETFL", 5: "F_GETLK", 6: "F_SETLK", 7: "F_SETLKW",
    8: "F_SETOWN", 9: "F_GETOWN", 10: "F_SETSIG", 11: "F_GETSIG", 15: "F_SETOWN_EX", 16: "F_GETOWN_EX",
    36: "F_OFD_GETLK", 37: "F_OFD_SETLK", 38: "F_OFD_SETLKW", 1024: "F_SETLEASE", 1025: "F_GETLEASE", 1026: "F_NOTIFY",
    1030: "F_DUPFD_CLOEXEC", 1031: "F_SETPIPE_SZ", 1032: "F_GETPIPE_SZ", 1033: "F_ADD_SEALS", 1034: "F_GET_SEALS",
}  # fmt: skip
PROT: Final = {1: "PROT_READ", 2: "PROT_WRITE", 4: "PROT_EXEC"}
MAP: Final = {  # asm-generic/mman.h, mman-common.h
    0x1: "MAP_SHARED", 0x2: "MAP_PRIVATE", 0x10: "MAP_FIXED", 0x20: "MAP_ANONYMOUS", 0x100: "MAP_GROWSDOWN",
    0x800: "MAP_DENYWRITE", 0x1000: "MAP_EXECUTABLE", 0x2000: "MAP_LOCKED", 0x4000: "MAP_NORESERVE",
    0x8000: "MAP_POPULATE", 0x10000: "MAP_NONBLOCK", 0x20000: "MAP_STACK", 0x40000: "MAP_HUGETLB", 0x80000: "MAP_SYNC",
    0x100000: "MAP_FIXED_NOREPLACE",
}  # fmt: skip
AT: Final = {  # linux/fcntl.h
    0x100: "AT_SYMLINK_NOFOLLOW", 0x200: "AT_REMOVEDIR", 0x400: "AT_SYMLINK_FOLLOW", 0x800: "AT_NO_AUTOMOUNT",
    0x1000: "AT_EMPTY_PATH",
}  # fmt: skip
MSG: Final = {int(flag): flag.name for flag in socket.MsgFlag if flag.name is not None}
RENAME: Final = {1: "RENAME_NOREPLACE", 2: "RENAME_EXCHANGE", 4: "RENAME_WHITEOUT"}
IOCTL: Final = {  # asm-generic/ioctls.h: all of a terminal's stand in one range
    value: name
    for name, value in sorted(vars(termios).items(), reverse=True)
    if name.startswith(("TC", "TIOC", "FIO")) and isinstance(value, int) and 0x5401 <= value <= 0x54FF
}


def has(call: Syscall, attribute: str) -> bool:
    """Has the call that attribute?"""
    match attribute:
        case "site" | "caller":
            return True
        case "filename":
            return bool(call.indexes(Kind.PATH))
        case "fd":
            return bool(call.indexes(Kind.FD))
        case "path" | "oflags":
            return bool(call.indexes(Kind.PATH) or call.indexes(Kind.FD))
        case "sockaddr":
            return call.name in ADDRESSED
        case "uid" | "uname":
            return bool(positions(call, USERS))
        case "gid":
            return bool(positions(call, GROUPS))
        case "argv":
            return call.name in ARGV
        case "sockdom" | "socktype":
            return call.name in SOCKETS
        case "pidname":
            return call.name in RECEIVER
        case "signame":
            return call.find_index("sig") is not None
        case "cmd":
            return call.name in COMMAND or call.find_index("cmd") is not None
        case "prot" | "flags" | "mode":
            return call.find_index(attribute) is not None
        case "string":
            return call.name in STRINGS
    raise ValueError(f"{attribute!r} is no attribute of a call")


def text(call: Call, facts: Syscall, attribute: str, index: int) -> str | None:
    """The text that a test looks at; None where the call has no such argument, or its memory cannot be read."""
    if not has(facts, attribute):
        return None
    match attribute:
        case "uid":
            return _number(call, positions(facts, USERS), index)
        case "gid":
            return _number(call, positions(facts, GROUPS), index)
        case "uname":
            number = _number(call, positions(facts, USERS), index)
            return None if number is None else user_name(int(number))
        case "argv":
            return argv(call, call.arguments[ARGV[facts.name]])
        case "sockdom":
            return family_name(_signed(call.arguments[0]))
        case "socktype":
            return type_name(call.arguments[1] & SOCK_TYPE_MASK)
        case "pidname":
            return receiver(call, _signed(call.arguments[RECEIVER[facts.name]]))
        case "string":
            return _string(call, facts, index)
    return _of_number(call, facts, attribute)


def positions(call: Syscall, names: frozenset[str]) -> tuple[int, ...]:
    """Indexes of the arguments that are users, or groups, which the call sets."""
    if call.name not in IDENTITIES:
        return ()
    return tuple(at for at, parameter in enumerate(call.parameters) if parameter.name in names)


def argv(call: Call, address: int) -> str | None:
    """The arguments of a program to be, joined by blanks."""
    words: list[str] = []
    for at in range(MOST_ARGUMENTS):
        pointer = call.memory(address + 8 * at, 8)
        if len(pointer) < 8:
            return None
        if not any(pointer):
            break
        words.append(call.string(int.from_bytes(pointer, "little")).decode("utf-8", "surrogateescape"))
    return " ".join(words)


def receiver(call: Call, pid: int) -> str:
    """Of a signal: the program, or systrace's words for many of them."""
    if pid == 0:
        return "<own process group>"
    if pid == -1:
        return "<every process: -1>"
    name = program_of(abs(pid))
    return name or "<unknown>" if pid > 0 else f"pg:{name or 'unknown'}"


def program_of(pid: int) -> str | None:
    try:
        return os.readlink(f"/proc/{pid}/exe")  # noqa: PTH115 - a Path would be resolved once more
    except OSError:
        return None


def user_name(number: int) -> str:
    try:
        return pwd.getpwuid(number).pw_name
    except (KeyError, OverflowError):
        return "<unknown>"


def family_name(number: int) -> str:
    return {int(each): each.name for each in socket.AddressFamily}.get(number, f"AF_UNKNOWN({number})")


def type_name(number: int) -> str:
    return {int(each): each.name for each in socket.SocketKind}.get(number, f"SOCK_UNKNOWN({number})")


def signal_name(number: int) -> str:
    return signal.Signals(number).name if number in signal.Signals.__members__.values() else f"<unknown>: {number}"


def flag_names(number: int, names: dict[int, str], nothing: str = "0") -> str:
    """PROT_READ|PROT_WRITE; bits without a name as one number."""
    parts = [name for bit, name in names.items() if number & bit == bit and bit]
    rest = number & ~sum(bit for bit in names if number & bit == bit)
    return "|".join((*parts, *([f"{rest:#x}"] if rest else ()))) or nothing


def _of_number(call: Call, facts: Syscall, attribute: str) -> str:
    if attribute == "cmd" and facts.name in COMMAND:
        number = call.arguments[COMMAND[facts.name]] & 0xFFFFFFFF
        if facts.name == "fcntl":
            return FCNTL.get(number, f"<unknown>: {number}")
        return IOCTL.get(number, f"{number:#x}")
    index = facts.find_index({"signame": "sig"}.get(attribute, attribute))
    assert index is not None
    number = call.arguments[index] & 0xFFFFFFFF
    match attribute:
        case "signame":
            return signal_name(number)
        case "prot":
            return flag_names(number, PROT, "PROT_NONE")
        case "flags":
            return flag_names(number, _flags(facts))
    return str(number)


def _flags(facts: Syscall) -> dict[int, str]:
    if facts.name == "mmap":
        return MAP
    if facts.name == "renameat2":
        return RENAME
    if "network" in facts.classes:
        return MSG
    if facts.name in syscalls.families()["open"] or not any(each.name.endswith("fd") for each in facts.parameters):
        return {}
    return AT if "file" in facts.classes else {}


def _string(call: Call, facts: Syscall, index: int) -> str | None:
    where = STRINGS[facts.name]
    if index >= len(where):
        return None
    address = call.arguments[where[index]]
    length = min(call.arguments[1], LONGEST_HOST_NAME)
    raw = call.memory(address, length) if facts.name in SIZED else call.string(address)
    return raw.decode("utf-8", "surrogateescape")


def _number(call: Call, where: tuple[int, ...], index: int) -> str | None:
    return str(_signed(call.arguments[where[index]])) if index < len(where) else None


def _signed(register: int) -> int:
    """An int out of its 64-bit register; -1 of a user or group means: as it is."""
    low = register & 0xFFFFFFFF
    return low - (1 << 32) if low >= 1 << 31 else low
