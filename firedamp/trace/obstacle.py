"""What keeps a process from being copied: state that a copy would not have, or would share with its original."""

import os
import stat
from pathlib import Path

OTHERS = "another process or thread of the program is alive"
DEVICES = frozenset({(1, 3), (1, 5), (1, 7), (1, 8), (1, 9)})  # null zero full random urandom (devices.txt)

# x86-64 numbers. What these do is kept per process or per description and cannot be seen from outside.
TIES = {
    30: "System V shared memory is attached",  # shmat
    37: "an alarm is set",  # alarm; timers are not inherited (fork(2))
    38: "a timer is set",  # setitimer
    73: "a file is locked",  # flock
    101: "the program traces",  # ptrace
    149: "memory is locked",  # mlock; locks are not inherited
    151: "memory is locked",  # mlockall
    222: "a timer is set",  # timer_create
    317: "the program filters its own system calls",  # seccomp
    325: "memory is locked",  # mlock2
}
FCNTL = 72
LOCKS = frozenset({6, 7, 37, 38})  # F_SETLK, F_SETLKW and their OFD twins
WATCHED = frozenset({*TIES, FCNTL})


def tie(number: int, arguments: tuple[int, ...]) -> str | None:
    """What a call of WATCHED leaves behind for good."""
    if number == FCNTL:
        return "a file is locked" if arguments[1] in LOCKS else None
    return TIES[number]


def obstacle(pid: int) -> str | None:
    """Why this single-threaded process, stopped, cannot be copied and put back; None when it can."""
    try:
        if _text(f"/proc/{pid}/task/{pid}/children"):
            return "a child was not waited for"
        return _of_status(_text(f"/proc/{pid}/status")) or _of_memory(pid) or _of_descriptors(pid)
    except OSError:
        return "it cannot be looked at"


def _text(path: str) -> str:
    with open(path, errors="surrogateescape") as file:
        return file.read()


def _of_status(text: str) -> str | None:
    fields = dict(line.split(":\t", 1) for line in text.splitlines() if ":\t" in line)
    if int(fields["Threads"]) != 1:
        return OTHERS
    if int(fields["SigPnd"], 16) | int(fields["ShdPnd"], 16):
        return "a signal is pending"
    return None


def _of_memory(pid: int) -> str | None:
    for line in _text(f"/proc/{pid}/maps").splitlines():
        rights = line.split(" ", 2)[1]
        if rights[3] == "s" and rights[1] == "w":
            return "memory is shared with others"
    return None


def _of_descriptors(pid: int) -> str | None:
    for link in Path(f"/proc/{pid}/fd").iterdir():
        found = link.stat()
        kind = stat.S_IFMT(found.st_mode)
        if kind in (stat.S_IFREG, stat.S_IFDIR):
            continue
        if kind != stat.S_IFCHR or (os.major(found.st_rdev), os.minor(found.st_rdev)) not in DEVICES:
            return "a pipe, a socket or a device is open"
    return None
