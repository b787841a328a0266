"""What a clean run asks of the environment: each call that could fail, where it comes from, and what came of it.

An Interceptor that never changes a call. Its report is the raw material of a sweep (sweep.py).
"""

import os
import re
from collections import Counter
from dataclasses import dataclass, field, replace
from errno import EACCES, EPERM
from pathlib import Path
from typing import Final

from firedamp.guards.place import bare_name
from firedamp.outcome import Frame, Refusal
from firedamp.symbols import resolve_frame
from firedamp.trace.protocol import Action, Call
from inject.decide.attributes import View, is_nameless
from inject.linux import syscalls
from inject.linux.handlers import RT_SIGACTION, SETSOCKOPT
from inject.linux.syscalls import CallFacts, ErrnoFact, Tier
from inject.observe.circumstances import Circumstances

MOST_HITS: Final = 200_000  # of one run; find /usr/share makes 50,000
WATCH: Final = Action(watch=True)
# fcntl(2): which errno belongs to which command. F_DUPFD, F_DUPFD_CLOEXEC; F_SETLK, F_SETLKW and their OFD twins
FCNTL: Final = {
    "EMFILE": {0, 1030},
    "ENOLCK": {6, 7, 37, 38},
    "EAGAIN": {6, 37},
    "EACCES": {6, 37},
    "EINTR": {7, 38},
}
# futex(2): only these wait, and only who waits is interrupted. WAIT, LOCK_PI, WAIT_BITSET, WAIT_REQUEUE_PI, LOCK_PI2
FUTEX_WAITS: Final = frozenset({0, 6, 9, 11, 13})
FUTEX_COMMAND: Final = 0x7F
COMMANDS: Final = {
    "open": 1,
    "openat": 2,
    "fcntl": 1,
    "futex": 1,
    "getrandom": 1,
    "flock": 1,
    "wait4": 2,
    "waitid": 3,
}  # the argument that decides
LOCK_NB: Final = 4  # flock(2)
WNOHANG: Final = 1  # wait(2)
WHOLE_RANDOM: Final = 256  # getrandom(2): up to so many bytes are never cut by a signal handler
CHANGES: Final = re.compile(r"(mkdir|mknod|unlink|rename|link|symlink)(at2?)?|rmdir|truncate|creat")
WRITES: Final = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC
CALLS_MAIN: Final = frozenset({"__libc_start_call_main", "main"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Hit:
    """One call of the clean run. `nth` counts from 1 at its site, over all processes, as policies count."""

    syscall: str
    site: str
    nth: int
    fd: int | None
    path: str | None
    open_flags: int
    errnos: tuple[ErrnoFact, ...]  # that could really happen here
    startup: bool  # of the dynamic loader, before the program's first instruction
    kind: str | None = None  # of the descriptor, as in CallFacts; "datagram" for a socket that keeps messages apart
    result: int | None = None  # None: the run ended inside
    pid: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    hits: tuple[Hit, ...] = ()
    stacks: dict[str, tuple[Frame, ...]] = field(default_factory=dict)  # by site, raw
    refusals: tuple[Refusal, ...] = ()
    dropped: int = 0  # hits beyond MOST_HITS


class Census:
    """An Interceptor (firedamp.trace.protocol). `writable`: where our own confinement lets the program write."""

    def __init__(self, writable: tuple[Path, ...] = ()) -> None:
        self.writable = tuple(os.fspath(path) for path in writable)
        self.hits: list[Hit] = []
        self.results: dict[int, int] = {}
        self.stacks: dict[str, tuple[Frame, ...]] = {}
        self.visits: Counter[str] = Counter()
        self.pending: dict[int, int] = {}  # tid -> hit
        self.refusals: dict[Refusal, None] = {}
        self.known: dict[tuple[str, CallFacts, int], tuple[ErrnoFact, ...]] = {}
        self.circumstances = Circumstances()
        self.dropped = 0

    def numbers(self) -> frozenset[int]:
        return frozenset(
            call.number
            for call in syscalls.table().values()
            if any(fact.tier is Tier.ENVIRONMENT for fact in call.errnos)
        ) | {RT_SIGACTION, SETSOCKOPT}

    def enter(self, call: Call) -> Action:
        view = View(call)
        tells = self.circumstances.handlers.enter(call)
        if call.number == RT_SIGACTION:
            return WATCH if tells else Action()
        self.visits[view.site] += 1
        if len(self.hits) >= MOST_HITS:
            self.dropped += 1
            return Action()
        self.stacks.setdefault(view.site, view.stack)
        self.pending[call.tid] = len(self.hits)
        known = self.circumstances.facts(view)
        self.hits.append(
            Hit(
                syscall=view.name,
                site=view.site,
                nth=self.visits[view.site],
                fd=view.descriptor(),
                path=view.path(),
                open_flags=view.open_flags or 0,
                errnos=self._errnos(view, known),
                startup=in_loader(view.stack),
                kind=self.circumstances.kind(view),
                pid=call.pid,
            )
        )
        return WATCH

    def leave(self, call: Call, result: int) -> None:
        self.circumstances.handlers.leave(call, result)
        at = self.pending.pop(call.tid, None)
        if at is None:
            return
        self.results[at] = result
        if result in (-EACCES, -EPERM):
            self._note_refusal(self.hits[at])

    def report(self) -> Report:
        hits = tuple(replace(hit, result=self.results.get(at)) for at, hit in enumerate(self.hits))
        return Report(hits=hits, stacks=self.stacks, refusals=tuple(self.refusals), dropped=self.dropped)

    def _errnos(self, view: View, known: CallFacts) -> tuple[ErrnoFact, ...]:
        name = view.name
        if name == "close" and not (view.open_flags or 0) & os.O_ACCMODE:
            return ()  # what close reports are writes that failed
        if is_nameless(view):
            name = "fstat"
        command = view.call.arguments[COMMANDS[name]] if name in COMMANDS else 0
        key = (name, known, command)
        if key not in self.known:
            self.known[key] = tuple(fact for fact in syscalls.plausible(name, known) if fits(name, command, fact))
        return self.known[key]

    def _note_refusal(self, hit: Hit) -> None:
        writes = CHANGES.fullmatch(hit.syscall) is not None or (
            hit.syscall.startswith("open") and hit.open_flags & WRITES
        )
        if not writes or hit.path is None or not self.writable:
            return
        if not any(hit.path == root or hit.path.startswith(root + "/") for root in self.writable):
            self.refusals[Refusal(syscall=hit.syscall, path=hit.path)] = None


def fits(name: str, command: int, fact: ErrnoFact) -> bool:
    """Of calls that are many in one: does this errno belong to this command?"""
    match name:
        case "open" | "openat":
            return fact.name != "ELOOP" or not command & os.O_NOFOLLOW  # there it says: this is a symbolic link
        case "fcntl":
            return command in FCNTL.get(fact.name, ())
        case "futex":
            return command & FUTEX_COMMAND in FUTEX_WAITS
        case "getrandom":
            return fact.name != "EINTR" or command > WHOLE_RANDOM
        case "flock":
            return bool(command & LOCK_NB) == (fact.name == "EAGAIN") or fact.name == "ENOLCK"
        case "wait4" | "waitid":
            return fact.name != "EINTR" or not command & WNOHANG
    return True


def in_loader(stack: tuple[Frame, ...]) -> bool:
    """Is the outermost caller ld.so itself? Later calls into it (dlopen) come from the program. A static program
    does the same work between _start and main."""
    if not stack:
        return False
    name = stack[-1].module.rsplit("/", 1)[-1]
    return name.startswith(("ld-linux", "ld-2", "ld-musl", "ld.so")) or _before_main(stack)


def _before_main(stack: tuple[Frame, ...]) -> bool:
    """Of a static program: below __libc_start_main, which calls main by __libc_start_call_main (glibc's csu)."""
    if len(stack) < 2 or not stack[-2].own or not stack[-1].own:
        return False
    if not bare_name(resolve_frame(stack[-2])).startswith("__libc_start_main"):
        return False
    return not any(bare_name(resolve_frame(frame)) in CALLS_MAIN for frame in stack[-4:-2])
