"""`permit as USER`: would this call be allowed to that user? Nobody's rights are changed; the answer can only be no.

By the owner and mode of the files that it names (see users), by what only root may do, and by whom a signal may reach.
"""

import os
import stat
from typing import Final

from inject.decide.attributes import View, signed
from inject.linux import syscalls
from inject.linux.arguments import GROUPS, IDENTITIES, RECEIVER, USERS, positions
from inject.linux.users import EXECUTE, READ, ROOT, WRITE, Person, real_ids, status

# capabilities(7): without one of them these fail whatever they are given
ROOT_ONLY: Final = (
    *("mount", "umount2", "pivot_root", "chroot", "swapon", "swapoff", "reboot", "sethostname", "setdomainname"),
    *("init_module", "finit_module", "delete_module", "acct", "settimeofday", "clock_settime", "adjtimex", "iopl"),
    *("ioperm", "kexec_load", "quotactl", "syslog", "setgroups", "vhangup", "open_by_handle_at"),
)
LINKED: Final = ("link", "linkat")
PLACED: Final = (
    *("unlink", "unlinkat", "rmdir", "mkdir", "mkdirat", "symlink", "symlinkat"),
    *("rename", "renameat", "renameat2", *LINKED),
)
NODES: Final = ("mknod", "mknodat")
OWNED: Final = ("chmod", "fchmod", "fchmodat", "fchmodat2")
STAMPED: Final = ("utime", "utimes", "utimensat", "futimesat")
CHOWNED: Final = ("chown", "lchown", "fchown", "fchownat")
WRITTEN: Final = ("truncate", "setxattr", "lsetxattr", "removexattr", "lremovexattr")
PRIVILEGED_PORTS: Final = "/proc/sys/net/ipv4/ip_unprivileged_port_start"
DEFAULT_PORT: Final = 1024  # ip(7)


def may(person: Person, view: View) -> bool:
    """Is the call one that this person could make? Arguments that cannot be read are not judged."""
    if person.uid == ROOT:
        return True
    name = view.name
    if name in ROOT_ONLY:
        return False
    if name in IDENTITIES and name not in CHOWNED:
        return _keeps(person, view)
    if name in RECEIVER:
        return _signals(person, signed(view.call.arguments[0]))
    if name == "bind":
        return _port(view.sockaddr) >= _first_free_port()
    files = _files(view)
    return all(person.reaches(path) for path in files) and _allowed(person, view, files)


def _files(view: View) -> tuple[str, ...]:
    """Absolute names of what the call looks up; of a descriptor's file where it names none."""
    names = tuple(name for index in range(2) if (name := view.filename(index)) is not None)
    if names or view.name not in ("fchmod", "fchown"):
        return names
    path = view.path()
    return () if path is None else (path,)


def _allowed(person: Person, view: View, files: tuple[str, ...]) -> bool:
    if not files:
        return True
    path, name = files[0], view.name
    if view.opens:
        return _opens(person, path, view.open_flags or 0)
    if name in PLACED:
        return all(map(person.changes, files[name in LINKED :]))
    if name in NODES:
        return _plain(view) and person.changes(path)
    if name in OWNED:
        return person.owns(path)
    if name in STAMPED:
        return person.owns(path) or person.can(path, WRITE)
    if name in CHOWNED:
        return person.owns(path) and _keeps(person, view)
    if name in WRITTEN:
        return person.can(path, WRITE)
    if name in syscalls.families()["execve"] or name == "chdir":
        return person.can(path, EXECUTE)
    if name in syscalls.families()["access"]:
        return status(path) is None or person.can(path, (view.mode or 0) & 7)
    return True  # looked up, no more: stat, readlink, statfs


def _opens(person: Person, path: str, flags: int) -> bool:
    if status(path) is None:  # without O_CREAT the kernel says ENOENT itself
        return not flags & os.O_CREAT or person.changes(path)
    reads = flags & os.O_ACCMODE in (os.O_RDONLY, os.O_RDWR)
    writes = flags & os.O_ACCMODE in (os.O_WRONLY, os.O_RDWR) or flags & os.O_TRUNC
    if flags & os.O_PATH:
        return True
    return person.can(path, (READ if reads else 0) | (WRITE if writes else 0))


def _keeps(person: Person, view: View) -> bool:
    """Only the person's own identity is asked for; -1 leaves it as it is."""
    arguments = view.call.arguments
    users = {signed(arguments[at]) for at in positions(view.syscall, USERS)}
    groups = {signed(arguments[at]) for at in positions(view.syscall, GROUPS)}
    return users <= {-1, person.uid} and groups <= {-1, *person.groups}


def _signals(person: Person, pid: int) -> bool:
    """kill(2): to processes of the same user; to groups and to everybody the kernel picks those itself."""
    ids = real_ids(pid) if pid > 0 else None
    return ids is None or ids[0] == person.uid


def _plain(view: View) -> bool:
    """Anybody may make a FIFO or a file by mknod(2); a device only root."""
    index = view.syscall.find_index("mode")
    kind = stat.S_IFMT(view.call.arguments[index]) if index is not None else 0
    return kind in (0, stat.S_IFIFO, stat.S_IFREG)


def _port(address: str | None) -> int:
    """Of an Internet address; others have none, and are free."""
    if address is None or not address.startswith("inet"):
        return 1 << 16
    return int(address.rpartition(":")[2]) or 1 << 16  # 0: the kernel picks one


def _first_free_port() -> int:
    try:
        with open(PRIVILEGED_PORTS) as file:
            return int(file.read())
    except (OSError, ValueError):
        return DEFAULT_PORT
