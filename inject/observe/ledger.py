"""What a run under faults does with its descriptors and its files: each opening and closing, and from the first fault
on each call that names a descriptor.

An Interceptor around the Decider, which alone decides what becomes of a call. It costs a stop for every call that has
to do with descriptors, so a sweep looks so closely at one run of each site (scrutiny.py).
"""

import os
from collections import Counter
from dataclasses import dataclass, field, replace
from functools import cache
from typing import Final

from firedamp.outcome import Created, Frame, Misuse
from firedamp.trace.protocol import PROCEED, Action, Call
from inject.decide.attributes import View, signed
from inject.decide.decider import Decider, DecisionReport
from inject.linux import syscalls
from inject.linux.syscalls import Kind

# The result is a new descriptor; of the last two, two numbers in memory.
MAKERS: Final = (
    *("open", "openat", "openat2", "creat", "memfd_create", "socket", "accept", "accept4", "dup", "pidfd_open"),
    *("epoll_create", "epoll_create1", "eventfd", "eventfd2", "timerfd_create", "signalfd", "signalfd4"),
    *("inotify_init", "inotify_init1", "userfaultfd"),
)
PAIRS: Final = {"pipe": 0, "pipe2": 0, "socketpair": 3}  # the argument that points to both
RENAMERS: Final = ("rename", "renameat", "renameat2")
NAMERS: Final = (
    *("mkdir", "mkdirat", "mknod", "mknodat", "symlink", "symlinkat", "link", "linkat"),
    *RENAMERS,
)
REPLACERS: Final = ("dup2", "dup3")  # the second argument is closed on the way
EXECS: Final = ("execve", "execveat")
NEVER_WATCHED: Final = frozenset({"exit", "rt_sigreturn", "restart_syscall"})
MAP_ANONYMOUS: Final = 0x20  # asm-generic/mman-common.h; then mmap's descriptor does not count
EPOLL_CTL_DEL: Final = 2  # linux/eventpoll.h; a closed descriptor is gone from the set already
MOST_WATCHED: Final = 5_000  # calls of a clean run: 10 us for each stop make a twentieth of a second
MOST_MISUSES: Final = 20
WATCH: Final = Action(watch=True)


@dataclass(slots=True, kw_only=True)
class Opening:
    """One descriptor, and the call that made it. `nth` counts from 1 at its site, over all processes."""

    site: str
    nth: int
    fd: int
    path: str | None
    stack: tuple[Frame, ...]
    before: bool  # the first fault
    again: bool = False  # the same site has made another descriptor since, while this one was open


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """Of the process in which the first fault struck."""

    held: tuple[Opening, ...] = ()  # open when it called exit; nothing where another thread was alive
    exit_stack: tuple[Frame, ...] = ()
    created: tuple[Created, ...] = ()  # before the fault
    misuses: tuple[Misuse, ...] = ()
    errnos: frozenset[int] | None = None  # that calls of any process returned; None without `every`


@dataclass(frozen=True, slots=True, kw_only=True)
class LedgerReport:
    decisions: DecisionReport
    account: Account


@dataclass(frozen=True, slots=True, kw_only=True)
class Closed:
    path: str | None = None  # what the number stood for, as far as known
    failed: bool = False  # by a fault
    turn: int = -1


@dataclass(slots=True)
class Process:
    opened: dict[int, Opening] = field(default_factory=dict)
    closed: dict[int, Closed] = field(default_factory=dict)
    turn: int = 0  # counts calls on descriptors, from the first fault on
    created: dict[str, tuple[Frame, ...]] = field(default_factory=dict)  # absolute name -> who made it

    def copy(self) -> "Process":
        opened = {fd: replace(opening) for fd, opening in self.opened.items()}
        return Process(opened=opened, closed=dict(self.closed), turn=self.turn, created=dict(self.created))


class Ledger:
    """A firedamp.trace.protocol.Interceptor. `every`: also the results of calls that name no descriptor."""

    def __init__(self, decider: Decider, *, every: bool = False) -> None:
        self.decider = decider
        self.every = every
        self.decides = decider.numbers()
        self.names = _watched(every)
        self.processes: dict[int, Process] = {}
        self.visits: Counter[str] = Counter()
        self.pending: dict[int, tuple[str, Opening | tuple[str, ...] | None]] = {}  # tid -> call, what it makes
        self.struck: int | None = None  # process
        self.account = Account()
        self.misuses: list[Misuse] = []
        self.errnos: set[int] = set()

    def numbers(self) -> frozenset[int]:
        return self.decides | frozenset(self.names)

    def enter(self, call: Call) -> Action:
        due = self.note(call)
        action = self.decider.enter(call) if call.number in self.decides else PROCEED
        return self.follow(call, action, due=due)

    def note(self, call: Call) -> bool:
        """What the call is about to do; true when its result is wanted."""
        name = self.names.get(call.number)
        return self._note(name, call) if name is not None else False

    def follow(self, call: Call, action: Action, *, due: bool) -> Action:
        """What becomes of the call was decided."""
        name = self.names.get(call.number)
        if self.struck is None and self.decider.strikes:
            self.struck = self.decider.strikes[0].pid
        if action.suppress is not None:
            self.pending.pop(call.tid, None)
            return action
        if name == "close":
            self._close(call, failed=action.replace is not None)
        if not due and not self.every:
            return action
        return WATCH if action is PROCEED else replace(action, watch=True)

    def leave(self, call: Call, result: int) -> None:
        self.decider.leave(call, result)
        name, made = self.pending.pop(call.tid, ("", None))
        if result < 0:
            self.errnos.add(-result)
        if result < 0 or not name:
            return
        process = self._process(call.pid)
        match made:
            case Opening():
                self._made(process, call, name, made, result)
            case (_, *_):
                self._named(process, name, made, call.stack())
        if name in REPLACERS:
            process.opened.pop(signed(call.arguments[1]), None)
        elif name in EXECS:
            self.processes[call.pid] = Process(created=process.created)

    def part(self, decider: Decider) -> "Ledger":
        """Another one, that knows the same and goes on with another decider. Nothing was struck so far."""
        other = Ledger(decider, every=self.every)
        other.processes = {pid: process.copy() for pid, process in self.processes.items()}
        other.visits = Counter(self.visits)
        other.pending = dict(self.pending)
        return other

    def moved(self, pid: int, copy_pid: int) -> None:
        """firedamp.trace.protocol.Movable."""
        self.decider.moved(pid, copy_pid)
        self.struck = copy_pid if self.struck == pid else self.struck
        if pid in self.processes:
            self.processes[copy_pid] = self.processes.pop(pid)
        if pid in self.pending:
            self.pending[copy_pid] = self.pending.pop(pid)

    def report(self) -> LedgerReport:
        account = self.account
        if self.struck is not None:
            created = self._process(self.struck).created.items()
            account = replace(account, created=tuple(Created(path=path, stack=stack) for path, stack in created))
        errnos = frozenset(self.errnos) if self.every else None
        account = replace(account, misuses=tuple(self.misuses), errnos=errnos)
        return LedgerReport(decisions=self.decider.report(), account=account)

    def _process(self, pid: int) -> Process:
        return self.processes.setdefault(pid, Process())

    def _note(self, name: str, call: Call) -> bool:
        if self.struck is not None and _descriptors().get(call.number):
            self._check(name, call)
        if name == "exit_group":
            if call.pid == self.struck:
                self._settle(call)
        elif name in REPLACERS or name in EXECS:
            self.pending[call.tid] = (name, None)
            return True
        elif name in NAMERS:
            return self.struck is None and self._name(name, View(call))
        elif name in MAKERS or name in PAIRS:
            self._open(name, View(call))
            return True
        return False

    def _open(self, name: str, view: View) -> None:
        self.visits[view.site] += 1
        opening = Opening(
            site=view.site,
            nth=self.visits[view.site],
            fd=-1,
            path=None,
            stack=view.stack,
            before=self.struck is None,
        )
        self.pending[view.call.tid] = (name, opening)
        if self.struck is None and view.opens and (view.open_flags or 0) & os.O_CREAT:
            path = view.filename()
            if path is not None and not os.path.lexists(path):
                self._process(view.call.pid).created[path] = view.stack  # when it fails nothing will lie there

    def _made(self, process: Process, call: Call, name: str, opening: Opening, result: int) -> None:
        for earlier in process.opened.values():
            earlier.again |= earlier.site == opening.site
        numbers: tuple[int, ...] = (result,)
        if name in PAIRS:
            raw = call.memory(call.arguments[PAIRS[name]], 8)
            numbers = tuple(int.from_bytes(raw[at : at + 4], "little") for at in (0, 4)) if len(raw) == 8 else ()
        for fd in numbers:
            process.opened[fd] = replace(opening, fd=fd, path=call.descriptor_path(fd))
            process.closed.pop(fd, None)

    def _name(self, name: str, view: View) -> bool:
        """A new name for a file: true when it is free so far."""
        paths = tuple(path for path in (view.filename(0), view.filename(1)) if path is not None)
        if not paths or (os.path.lexists(paths[-1]) and name not in RENAMERS):
            return False
        self.pending[view.call.tid] = (name, paths)
        return True

    @staticmethod
    def _named(process: Process, name: str, paths: tuple[str, ...], stack: tuple[Frame, ...]) -> None:
        if name not in RENAMERS:
            process.created[paths[-1]] = stack
        elif paths[0] in process.created:
            process.created[paths[-1]] = process.created.pop(paths[0])

    def _close(self, call: Call, *, failed: bool) -> None:
        fd = signed(call.arguments[0])
        process = self._process(call.pid)
        known = process.opened.pop(fd, None)
        if known is not None or fd >= 0:
            path = known.path if known is not None else None
            process.closed[fd] = Closed(path=path, failed=failed, turn=process.turn)

    def _check(self, name: str, call: Call) -> None:
        """Is every descriptor that the call names one?"""
        process = self._process(call.pid)
        process.turn += 1
        if len(self.misuses) >= MOST_MISUSES or not _matters(name, call):
            return
        for index in _descriptors()[call.number]:
            fd = signed(call.arguments[index])
            closed = process.closed.get(fd)
            if fd < 0 or (closed is not None and call.descriptor_path(fd) is None):
                self.misuses.append(self._misuse(name, call, fd, closed or Closed(), process.turn))

    @staticmethod
    def _misuse(name: str, call: Call, fd: int, closed: Closed, turn: int) -> Misuse:
        return Misuse(
            syscall=name,
            fd=fd,
            path=closed.path,
            failed=closed.failed,
            at_once=turn == closed.turn + 1,
            alone=_threads(call.pid) == 1,
            stack=call.stack(),
        )

    def _settle(self, call: Call) -> None:
        """At exit: what is open still. With other threads alive nobody can tell what they would have closed."""
        if _threads(call.pid) > 1:
            return
        opened = self._process(call.pid).opened.values()
        held = tuple(each for each in opened if call.descriptor_path(each.fd) is not None)
        self.account = replace(self.account, held=held, exit_stack=call.stack())


def _threads(pid: int) -> int:
    return len(os.listdir(f"/proc/{pid}/task"))  # noqa: PTH208  # names are all that is wanted


def _matters(name: str, call: Call) -> bool:
    match name:
        case "mmap":
            return not call.arguments[3] & MAP_ANONYMOUS
        case "epoll_ctl":
            return call.arguments[1] != EPOLL_CTL_DEL
    return True


@cache
def _descriptors() -> dict[int, tuple[int, ...]]:
    """Of calls that look up no name: which arguments are descriptors."""
    return {
        call.number: call.indexes(Kind.FD)
        for call in syscalls.table().values()
        if call.indexes(Kind.FD) and not call.indexes(Kind.PATH) and call.name not in PAIRS
    }


@cache
def _watched(every: bool) -> dict[int, str]:
    special = {*MAKERS, *PAIRS, *NAMERS, *REPLACERS, *EXECS, "exit_group"}
    return {
        call.number: call.name
        for call in syscalls.table().values()
        if call.name in special or call.number in _descriptors() or (every and call.name not in NEVER_WATCHED)
    }
