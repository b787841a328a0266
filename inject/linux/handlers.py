"""Which signals a process catches, and whether its calls go on after them. Fed with the calls of a clean run.

signal(7), "Interruption of system calls": with SA_RESTART a handler is not seen by the call that it came into, so EINTR
is real only where some handler was installed without it, or where the call is one that is never restarted.
"""

from dataclasses import dataclass, field
from typing import Final

from firedamp.trace.protocol import Call
from inject.decide.attributes import signed

RT_SIGACTION, SETSOCKOPT = 13, 54  # asm/unistd_64.h
SA_RESTART: Final = 0x10000000  # asm/signal.h
LIBC_S_OWN: Final = frozenset({32, 33})  # SIGCANCEL and SIGSETXID of nptl(7)
STANDARD_HANDLERS: Final = (0, 1)  # SIG_DFL, SIG_IGN
SOL_SOCKET: Final = 1
TIMEOUTS: Final = frozenset({20, 21, 66, 67})  # SO_RCVTIMEO and SO_SNDTIMEO, old and new: asm-generic/socket.h

Dispositions = dict[int, bool]  # signal -> is a call restarted after its handler?


@dataclass(slots=True)
class Handlers:
    """`processes` by their number. Of each a copy is made when it is first met, as fork(2) makes one."""

    processes: dict[int, Dispositions] = field(default_factory=dict)
    pending: dict[int, tuple[int, int, bool]] = field(default_factory=dict)  # tid -> process, signal, restarts
    timed: set[str] = field(default_factory=set)  # sockets that wait only so long

    def enter(self, call: Call) -> bool:
        """Is it a call that tells of handlers, whose result is wanted?"""
        known = self._met(call)
        if call.number == SETSOCKOPT:
            self._note_timeout(call)
        if call.number != RT_SIGACTION:
            return False
        number, action = signed(call.arguments[0]), call.arguments[1]
        raw = call.memory(action, 16) if action else b""  # struct kernel_sigaction: handler, flags ...
        handler, flags = (int.from_bytes(raw[at : at + 8], "little") for at in (0, 8))
        if len(raw) == 16 and handler not in STANDARD_HANDLERS:
            known.pop(number, None)
            self.pending[call.tid] = (call.pid, number, bool(flags & SA_RESTART))
        return True

    def leave(self, call: Call, result: int) -> None:
        pid, number, restarts = self.pending.pop(call.tid, (0, 0, True))
        if pid and result == 0:
            self.processes[pid][number] = restarts

    def interrupts(self, call: Call) -> tuple[bool, bool]:
        """Is any signal caught now, and is there one after which calls are not restarted? execve(2) resets them."""
        mask = call.caught_signals()
        caught = {number for number in range(1, 65) if mask >> (number - 1) & 1} - LIBC_S_OWN
        known = self.processes.get(call.pid, {})
        return bool(caught), any(not known.get(number, True) for number in caught)

    def _met(self, call: Call) -> Dispositions:
        if call.pid not in self.processes:
            self.processes[call.pid] = dict(self.processes.get(parent(call.pid), {}))
        return self.processes[call.pid]

    def _note_timeout(self, call: Call) -> None:
        fd, level, option = (signed(argument) for argument in call.arguments[:3])
        path = call.descriptor_path(fd)
        if level == SOL_SOCKET and option in TIMEOUTS and path is not None:
            self.timed.add(path)


def parent(pid: int) -> int:
    """0 when it is gone."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            return int(file.read().rpartition(b")")[2].split()[1])  # proc_pid_stat(5): the state, then the parent
    except OSError:
        return 0
