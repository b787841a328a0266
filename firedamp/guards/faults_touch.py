"""What a fault touched: the program's data, its memory, a look-up that only changes how things are shown, or neither.

Data is what lies in the working folder, what the command line names, the streams, and pipes and sockets. A failed
look-up of a user's name, a translation or a time zone has a fall-back that is meant: numbers for names, English, UTC.
"""

import os
import re
from collections.abc import Iterable
from enum import StrEnum
from errno import EACCES, EINVAL, ENOENT, ENOTDIR, EPERM, EROFS, ETXTBSY

from firedamp.guards.place import bare_name
from firedamp.outcome import Frame, Outcome, Scene, Strike


class Touched(StrEnum):
    DATA = "data"
    MEMORY = "memory"
    PROCESS = "process"
    LOOKUP = "look-up"
    ANSWER = "answer"  # "there is no such file" is what the program asked to know
    SYSTEM = "system"  # files of the machine, and questions to the kernel


ESSENTIAL = frozenset({Touched.DATA, Touched.MEMORY, Touched.PROCESS})

# System calls that do one thing to one object; a place is named by the family, so that pwrite64 and write are one.
FAMILIES = {
    "read": ("read", "readv", "pread64", "preadv", "preadv2", "recvfrom", "recvmsg", "recvmmsg"),
    "write": ("write", "writev", "pwrite64", "pwritev", "pwritev2", "sendto", "sendmsg", "sendmmsg"),
    "copy": ("copy_file_range", "sendfile", "splice", "tee", "vmsplice"),
    "open": ("open", "openat", "openat2", "creat"),
    "stat": ("stat", "lstat", "newfstatat", "statx", "fstat"),
    "access": ("access", "faccessat", "faccessat2"),
    "readlink": ("readlink", "readlinkat"),
    "rename": ("rename", "renameat", "renameat2"),
    "unlink": ("unlink", "unlinkat", "rmdir"),
    "link": ("link", "linkat", "symlink", "symlinkat"),
    "mkdir": ("mkdir", "mkdirat"),
    "sync": ("fsync", "fdatasync", "sync_file_range", "syncfs", "msync"),
    "truncate": ("truncate", "ftruncate", "fallocate"),
    "dup": ("dup", "dup2", "dup3"),
    "getdents": ("getdents", "getdents64"),
    "memory": ("malloc", "brk", "mmap", "mremap", "mprotect", "madvise"),
    "process": ("fork", "vfork", "clone", "clone3", "execve", "execveat", "wait4", "waitid", "pipe", "pipe2"),
    "setuid": ("setuid", "setreuid", "setresuid"),
    "setgid": ("setgid", "setregid", "setresgid"),
}
FAMILY = {name: family for family, names in FAMILIES.items() for name in names}

# hier(7), nsswitch.conf(5), locale(7), iconv(1), tzset(3), terminfo(5)
LOOKUP_FILES = re.compile(
    r"/etc/(nsswitch\.conf|passwd|group|hosts|host\.conf|resolv\.conf|services|protocols|networks|gai\.conf|localtime"
    r"|timezone|locale\..*|terminfo/.*|inputrc|ld\.so\.cache)"
    r"|/(usr/)?lib/(locale|terminfo)/.*|/(usr/)?lib(/[^/]+)?/gconv/.*|.*/libnss_[^/]*"
    r"|/usr/share/(locale|locale-langpack|i18n|zoneinfo|terminfo|nls)/.*|(/var)?/run/nscd/.*|/(proc|sys)/.*"
)
# Functions of libc and curses that have a fall-back of their own: what they could not find is shown in a plainer way.
LOOKUP_FUNCTIONS = re.compile(
    r"_*(setlocale|newlocale|bindtextdomain|textdomain|d?c?n?gettext|dcigettext|iconv_open|nl_langinfo|catopen"
    r"|(get|set|end)(pw|gr|sp)(nam|uid|gid|ent)?(_r)?|getgrouplist|nss_\w+|nscd_\w+|get(serv|proto)by\w+"
    r"|tzset|tzalloc|(local|mk)time\w*|strftime\w*|setupterm|tgetent|newterm|initscr|isatty|ttyname(_r)?"
    r"|get_nprocs\w*|sysconf|strerror(_r|_l)?|regerror|mbstowcs|btowc|wcsmbs\w*)"
)
# Errnos that libc keeps from the program, by family: readdir(3) ends a folder that was removed while it was read like
# any other. Then those that are answers rather than failures: what a program does with them is its choice.
ABSENT = frozenset({ENOENT, ENOTDIR})
UNSEEN = {"getdents": frozenset({ENOENT})}
ANSWERS = {
    "stat": ABSENT,
    "readlink": ABSENT | {EINVAL},
    "open": ABSENT,
    "unlink": ABSENT,
    "access": ABSENT | {EACCES, EPERM, EROFS, ETXTBSY},
}
COMMITS = frozenset({"close", *FAMILIES["sync"]})
MAPS_FILES = frozenset({"mmap"})
UNIMPORTANT = re.compile(r"/dev/(null|zero|full|u?random|tty)|anon_inode:.*")
STREAM = re.compile(r"/memfd:captured \(deleted\)|(pipe|socket):\[\d+\]|/dev/pts/\d+")


def family(syscall: str) -> str:
    return FAMILY.get(syscall, syscall)


def touched(strike: Strike, scene: Scene) -> Touched:
    path = strike.path
    if strike.errno in UNSEEN.get(family(strike.syscall), ()):
        return Touched.ANSWER
    if strike.errno in ANSWERS.get(family(strike.syscall), ()) and not (
        strike.errno in ABSENT and is_asked_for(path, scene)
    ):
        return Touched.ANSWER
    if path is not None and is_data(path, scene):
        return Touched.DATA
    if path is not None and LOOKUP_FILES.fullmatch(path):
        return Touched.LOOKUP
    if path is None or strike.syscall not in MAPS_FILES:
        if looks_up(strike.stack):
            return Touched.LOOKUP
        match family(strike.syscall):
            case "memory":
                return Touched.MEMORY
            case "process":
                return Touched.PROCESS
    return Touched.SYSTEM


def touches(outcome: Outcome) -> frozenset[Touched]:
    return frozenset(touched(strike, outcome.scene) for strike in outcome.strikes)


def is_data(path: str, scene: Scene) -> bool:
    """In the working folder, a stream, an unlinked temporary file, or named by the command line (or beneath that)."""
    if UNIMPORTANT.fullmatch(path):
        return False
    if STREAM.fullmatch(path) or path.endswith(" (deleted)"):
        return True
    if not scene.folder:
        return True  # in place: nothing is known of what matters, so everything may
    return any(_beneath(path, root) for root in _roots(scene))


def is_asked_for(path: str | None, scene: Scene) -> bool:
    """Does the command line name this very file? Then its absence is an error, not an answer."""
    names = (os.path.normpath(os.path.join(scene.folder or "/", word)) for word in scene.argv[1:])  # noqa: PTH118
    return path is not None and path != scene.folder and path in names


def _roots(scene: Scene) -> Iterable[str]:
    yield scene.folder
    yield os.path.join(os.path.dirname(scene.folder), "tmp")  # noqa: PTH118, PTH120  # TMPDIR stands beside it
    for word in scene.argv[1:]:
        name = os.path.normpath(word.rsplit("=", 1)[-1] or ".")
        if name.startswith("/") and name != "/":
            yield name


def _beneath(path: str, root: str) -> bool:
    return path == root or path.startswith(root + "/")


def looks_up(stack: tuple[Frame, ...]) -> bool:
    """Does the call come from a look-up of the C runtime, below the innermost frame of the program's own?"""
    for frame in stack:
        if frame.own:
            return False
        if LOOKUP_FUNCTIONS.fullmatch(bare_name(frame)):
            return True
    return False
