"""What crosses the border between us and the tracer's worker process. Values and one Protocol; no ptrace here."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from firedamp.outcome import Frame, Outcome
from firedamp.target import Limits


@dataclass(frozen=True, slots=True, kw_only=True)
class Action:
    """What becomes of a call that was stopped at its entry. The fields combine; all at rest means: let it run.

    suppress: the call does not happen, the program sees this value (-errno for an error).
    replace: the call happens, then the program sees this value instead.
    arguments: (index, value) pairs written to the registers before the call runs: a shorter count, another descriptor.
    """

    suppress: int | None = None
    replace: int | None = None
    arguments: tuple[tuple[int, int], ...] = ()
    syscall: int | None = None  # another call runs instead
    signal: int | None = None  # delivered to the calling thread right after the call
    delay_entry_s: float = 0.0
    delay_exit_s: float = 0.0
    watch: bool = False  # Interceptor.leave is called with the result


PROCEED = Action()


class Call(Protocol):
    """A system call stopped at its entry. What costs something is a method, and is computed once per stop."""

    @property
    def number(self) -> int: ...
    @property
    def name(self) -> str: ...
    @property
    def arguments(self) -> tuple[int, int, int, int, int, int]: ...
    @property
    def pid(self) -> int: ...  # thread-group leader
    @property
    def tid(self) -> int: ...
    def string(self, address: int, limit: int = 4096) -> bytes: ...
    def memory(self, address: int, size: int) -> bytes: ...  # may be shorter at the end of a mapping
    def poke(self, address: int, data: bytes) -> int: ...  # at this stop, or in `leave`; bytes written, 0 for none
    def descriptor_path(self, fd: int) -> str | None: ...  # readlink of /proc/PID/fd/N; None when it is not open
    def descriptor_flags(self, fd: int) -> int: ...  # the open flags (octal `flags:` of fdinfo); 0 when unknown
    def folder(self) -> str: ...  # current working folder
    def program(self) -> str: ...  # readlink of /proc/PID/exe
    def caught_signals(self) -> int: ...  # SigCgt of /proc/PID/status: bit n-1 for signal n
    def thread_pointer(self) -> int: ...  # fs_base: where the thread's control block lies
    def stack(self) -> tuple[Frame, ...]: ...  # innermost first, raw: without function names


class Interceptor(Protocol):
    """Decides about system calls, inside the worker process. It is pickled there, so it is plain data plus methods."""

    def numbers(self) -> frozenset[int]:
        """The only system calls that stop (x86-64 numbers); all others run at full speed."""

    def enter(self, call: Call) -> Action: ...

    def leave(self, call: Call, result: int) -> None:
        """Called for watched calls with the value that the *kernel* returned, before any `replace`."""

    def report(self) -> object:
        """Picklable; comes back as Trace.report when the run has ended."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Execution:
    """One run of one program."""

    argv: tuple[str, ...]  # surrogateescape; argv[0] is looked up in PATH of `environment` when it has no slash
    environment: tuple[tuple[str, str], ...]
    folder: Path
    stdin: Path | None = None  # None: /dev/null
    stdout: Path | None = None  # None: captured in an unlinked regular file
    stderr: Path | None = None
    inherit_streams: bool = False  # the program gets ours (inject)
    group: int | None = None  # the process group of our session that it joins; None: a session of its own
    limits: Limits = field(default_factory=Limits)
    writable: tuple[Path, ...] | None = None  # Landlock: only beneath these; None: no confinement
    interceptor: Interceptor | None = None
    fixed_addresses: bool = False  # no randomisation of addresses (ASLR), where the kernel lets us switch it off
    exit_stack: bool = False  # record the stack of a normal exit
    descriptors: tuple[int, ...] = ()  # descriptors of ours (by number in this process) that the program keeps


class Movable(Interceptor, Protocol):
    """One that can go on in a copy of the process that it has seen so far."""

    def moved(self, pid: int, copy_pid: int) -> None:
        """The call that it decided last, and all that follows, is `copy_pid`'s; that is a process of one thread."""


class Branching(Protocol):
    """Decides for many runs at once, as long as they are one and the same. Pickled like an Interceptor."""

    def numbers(self) -> frozenset[int]: ...

    def enter(self, call: Call) -> tuple[tuple[tuple[int, Action], ...], Action]:
        """The runs that differ from now on, by their index, and how; and what is done for all others: they may watch
        the call, no more."""

    def leave(self, call: Call, result: int) -> None:
        """As an Interceptor, for those that are still like the original."""

    def remaining(self) -> frozenset[int]:
        """The runs that are still like the original."""

    def drop(self, indexes: frozenset[int]) -> None:
        """They have left, or are not wanted any more."""

    def interceptor(self, index: int) -> Movable:
        """What decides about the rest of one run."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshots:
    """Many runs of one program; the beginning that they share runs once (firedamp.trace.snapshot)."""

    execution: Execution  # without an interceptor
    branching: Branching
    folders: tuple[Path, ...]  # put back after each copy, with all that is in them
    shadows: Path  # an empty folder on their file system, out of the program's sight


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """One run has come to its end; its folders are as it left them until a Verdict comes."""

    index: int
    trace: "Trace"


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What the other side says to a Snapshot."""

    stop: bool = False  # no further run is wanted


@dataclass(frozen=True, slots=True, kw_only=True)
class Left:
    """The end: `reasons` why some of the runs need a process of their own."""

    reasons: tuple[tuple[int, str], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Trace:
    """The worker's answer: an Outcome's raw material plus what the interceptor reported."""

    outcome: Outcome  # with raw frames
    report: object = None
    foreign: tuple[str, ...] = ()  # what was not seen or was refused: 32-bit calls, io_uring_setup, nested tracers
