"""What decides which errnos could really happen at a call: its descriptor, its process, what stands where it points."""

import os
from pathlib import Path
from socket import MSG_DONTWAIT
from typing import Final

from firedamp.trace.protocol import Call
from inject.decide.attributes import View
from inject.linux.buffers import MESSAGES
from inject.linux.handlers import Handlers
from inject.linux.syscalls import CallFacts

# /proc/PID/net/TABLE, proc_pid_net(5) -> family, column of the inode, are its sockets streams? None: by their type
TABLES: Final = {
    "unix": ("unix", 6, None),
    "tcp": ("inet", 9, True),
    "tcp6": ("inet", 9, True),
    "udp": ("inet", 9, False),
    "udp6": ("inet", 9, False),
}
TYPE_COLUMN, SOCK_STREAM = 4, "0001"  # linux/net.h
TRANSFERS: Final = frozenset({"sendto", "recvfrom", "sendmmsg", "recvmmsg", *MESSAGES})

Socket = tuple[str | None, bool]  # family, stream


class Circumstances:
    """Of one clean run. Sees the calls that tell of handlers and timeouts, too (handlers.py)."""

    def __init__(self) -> None:
        self.handlers = Handlers()
        self.sockets: dict[str, Socket] = {}  # socket:[INODE]; as soon as the kernel lists it

    def facts(self, view: View) -> CallFacts:
        flags = view.open_flags or 0
        name = view.path() if view.opens else None
        kind = view.descriptor_kind
        path = view.path() if kind == "socket" else None
        caught, unrestarted = self.handlers.interrupts(view.call)
        return CallFacts(
            open_flags=flags,
            descriptor_kind=kind,
            family=family_of(view.sockaddr) or (self._socket(view, path)[0] if path is not None else None),
            nonblocking=bool(flags & os.O_NONBLOCK) or _waits_not(view),
            catches_signals=caught,
            unrestarted=unrestarted,
            timed=path in self.handlers.timed,
            splits=view.name == "munmap" and splits_mapping(view.call),
            creates=bool(flags & os.O_CREAT) and name is not None and not Path(name).exists(),
        )

    def kind(self, view: View) -> str | None:
        """As in CallFacts, but "datagram" for a socket that keeps its messages apart."""
        kind = view.descriptor_kind
        path = view.path() if kind == "socket" else None
        return kind if path is None or self._socket(view, path)[1] else "datagram"

    def _socket(self, view: View, path: str) -> Socket:
        found = self.sockets.get(path) or look_up_socket(view.call.pid, path)
        if found is None:
            return None, False
        self.sockets[path] = found
        return found


def family_of(sockaddr: str | None) -> str | None:
    """Of an address as a policy shows it."""
    if sockaddr is None or sockaddr.startswith("family-"):
        return None
    return "inet" if sockaddr.startswith(("inet-", "inet6-")) else "unix"


def look_up_socket(pid: int, path: str) -> Socket | None:
    """A socket that is neither bound nor connected stands in no table yet."""
    inode = path.removeprefix("socket:[").removesuffix("]")
    for table, (family, column, stream) in TABLES.items():
        for line in _lines(f"/proc/{pid}/net/{table}"):
            words = line.split()
            if len(words) > column and words[column] == inode:
                return family, words[TYPE_COLUMN] == SOCK_STREAM if stream is None else stream
    return None


def splits_mapping(call: Call) -> bool:
    """Does the range leave something of its mapping on both sides? Then one becomes two, and the table may be full."""
    begin, end = call.arguments[0], call.arguments[0] + call.arguments[1]
    for line in _lines(f"/proc/{call.pid}/maps"):
        first, last = (int(word, 16) for word in line.split(" ", 1)[0].split("-"))
        if first < begin and end < last:
            return True
    return False


def _waits_not(view: View) -> bool:
    index = view.syscall.find_index("flags") if view.name in TRANSFERS else None
    return index is not None and bool(view.call.arguments[index] & MSG_DONTWAIT)


def _lines(path: str) -> list[str]:
    try:
        return Path(path).read_text(errors="surrogateescape").splitlines()
    except OSError:
        return []  # a kernel without IPv6 has no such table
