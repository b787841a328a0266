"""Everything that one execution did. Values only: collected by firedamp.run, judged by firedamp.guards."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from signal import Signals


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """One call: `offset` is the ELF virtual address in `module` (file address, so without ASLR).

    For a caller's frame the offset is the return address minus one, i.e. inside the call instruction.
    `own` is false for the C runtime (libc, ld.so, sanitizer runtimes), for firedamp's runtime, and outside any file.
    """

    module: str  # absolute path, or "[vdso]", "[anon]"
    offset: int
    function: str | None = None
    function_offset: int | None = None
    file: str | None = None
    line: int | None = None
    own: bool = False
    within: str | None = None  # the function of the source, which may be inlined into `function`
    within_line: int | None = None  # where that is declared; both known only near the top of a program's own stack


@dataclass(frozen=True, slots=True, kw_only=True)
class Exited:
    status: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Killed:
    signal: int  # a number, since real-time signals have no Signals member


class Stall(StrEnum):
    """What a run that ran out of time was doing."""

    DEADLOCK = "deadlock"  # every thread waits for a lock or for another thread of the same run
    LIVELOCK = "livelock"  # system calls go on and on
    BUSY = "busy"  # the processor is used, no system calls
    WAITING = "waiting"  # asleep in a system call that somebody outside could end


@dataclass(frozen=True, slots=True, kw_only=True)
class TimedOut:
    limit: str  # "wall" | "cpu"
    stall: Stall


@dataclass(frozen=True, slots=True, kw_only=True)
class OutOfMemory:
    resident_bytes: int


class Reach(StrEnum):
    """Who can give the program its input."""

    REMOTE = "remote"
    LOCAL = "local"


Ending = Exited | Killed | TimedOut | OutOfMemory


class Access(StrEnum):
    READ = "read"
    WRITE = "write"
    EXEC = "exec"


SMASHED = "*** stack smashing detected ***"  # glibc debug/stack_chk_fail.c, in __abort_msg


@dataclass(frozen=True, slots=True, kw_only=True)
class StackScene:
    """A thread's stack when its canary was found dead, as it lay in memory: raw, for firedamp.canary.frame.

    `bases` has for each frame, innermost first, the stack pointer, rbp and the canonical frame address (the stack
    pointer of the caller); None where unwinding lost it.
    """

    start: int  # address of memory[0]
    memory: bytes
    canary: int | None  # the value that the thread's functions compare with: fs:0x28
    bases: tuple[tuple[int, int | None, int | None], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Smash:
    """What a frame shows whose canary died. What could not be shown is None; ranges of the input are half-open."""

    found: str  # hexadecimal: the eight bytes that lay in the canary's place
    changed_bytes: int  # of the canary, up to the last one that differs
    buffer: str | None = None  # the array that was overrun
    buffer_bytes: int | None = None
    overrun_bytes: int | None = None  # at least so far past its end
    among_several: bool = False  # other buffers lie below the canary, too
    proved: bool = False  # the bytes in it show that `buffer` was overrun; false: it lies next to the canary
    canary_input: tuple[int, int] | None = None  # the bytes of the input that lie on the canary
    return_input: tuple[int, int] | None = None  # ... and on the return address of the function
    ambiguous: bool = False  # the input has these bytes in several places: the ranges are the first of them


@dataclass(frozen=True, slots=True, kw_only=True)
class FormatMisuse:
    """What the runtime in a hardened build found wrong in a call of the printf family, before libc had it."""

    call: str  # the function that was called, e.g. "snprintf"
    format: str  # its beginning, where it is long
    asked: int  # arguments that the format asks for
    given: int | None  # None: not known
    argument: int | None = None  # counted from 1: the first that is missing, or no pointer where one is asked for
    constant: bool = False  # the format lies in memory that nobody can write
    part: str = ""  # of the input that the format has bytes of: "input", "argument 2", "standard input"
    alike: tuple[int, int] | None = None  # where in it, and how many bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Fatal:
    """A SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT, SIGSYS or SIGTRAP as it was about to be delivered, handled or not.

    `address` and `code` are siginfo's (sigaction(2)); `access` comes from the page-fault error code or the
    faulting instruction; `abort_message` is glibc's __abort_msg; `stack_pointer` and `stack_low` tell stack exhaustion:
    the lowest mapped address of the thread's stack.
    """

    signal: Signals
    code: int
    address: int | None = None
    access: Access | None = None
    abort_message: str | None = None
    format_misuse: FormatMisuse | None = None
    handled: bool = False  # the program had a handler for it
    stack_exhausted: bool = False
    stack_overrun: bool = False  # a write that ran off the upper end of the stack
    stack: tuple[Frame, ...] = ()  # innermost first
    scene: StackScene | None = None  # only between the tracer and the bench, which reads `smash` from it
    smash: Smash | None = None
    address_input: tuple[int, int] | None = None  # the bytes of the input that `address` is, of a write or a jump


@dataclass(frozen=True, slots=True, kw_only=True)
class Strike:
    """One fault that took place. `site` is the digest of the call stack; `nth` counts from 1 at that site."""

    rule: int  # index of the rule in the policy
    syscall: str
    pid: int
    site: str
    nth: int
    errno: int | None = None
    effect: str = "suppress"  # suppress | commit | partial | corrupt | poke | retval | signal | delay
    path: str | None = None  # the file behind the name or the descriptor
    fd: int | None = None  # of a call on one
    stack: tuple[Frame, ...] = ()
    took: bool = True  # false: the program saw another result than the planned one


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """A descriptor that was open when the struck process called exit, while the clean run closes it before."""

    fd: int
    path: str | None
    opened: tuple[Frame, ...]  # the stack of the call that made it
    closed: tuple[Frame, ...]  # of the call that closes it in the clean run
    meanwhile: tuple[tuple[Frame, ...], ...] = ()  # of calls of the clean run between the two, each site once
    again: bool = False  # the same place made another one meanwhile: the program went on
    jumps: bool = False  # the program may leave functions by longjmp(3) or by an exception


@dataclass(frozen=True, slots=True, kw_only=True)
class Misuse:
    """After the first fault: a call on a descriptor that is negative, or that the process had closed before."""

    syscall: str
    fd: int
    path: str | None = None  # what the number stood for before it was closed, where that is known
    failed: bool = False  # it was closed by a close(2) that was made to fail
    at_once: bool = False  # no other call on a descriptor came between closing and this call
    alone: bool = True  # there was no other thread that could have got the number meanwhile
    stack: tuple[Frame, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Created:
    path: str  # absolute
    stack: tuple[Frame, ...] = ()  # of the call that made it


@dataclass(frozen=True, slots=True, kw_only=True)
class Aftermath:
    """What came of descriptors and files in a run under faults that was looked at closely."""

    held: tuple[Held, ...] = ()
    misuses: tuple[Misuse, ...] = ()
    exit_stack: tuple[Frame, ...] = ()  # where the struck process called exit; empty: it did not, or had threads
    created: tuple[Created, ...] = ()  # what the struck process made before the fault and left
    errnos: frozenset[int] | None = None  # that some call of the run returned; None: nobody looked


class EntryKind(StrEnum):
    FILE = "file"
    FOLDER = "folder"
    LINK = "link"
    OTHER = "other"


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    kind: EntryKind
    mode: int
    size: int = 0
    digest: str = ""  # SHA-256 of the content, or the link's text


Tree = Mapping[str, Entry]  # path relative to the private folder -> what is there


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """A write that our confinement refused: ours, never the program's failure."""

    syscall: str
    path: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """Where a run took place, as far as a judgement of what it left behind needs it.

    `stdout` and `stderr` name the streams' files, relative to the folder; None: they were captured.
    """

    folder: str = ""  # the working folder, absolute
    argv: tuple[str, ...] = ()
    stdout: str | None = None
    stderr: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    ending: Ending
    stdout: bytes = b""
    stderr: bytes = b""
    cpu_s: float = 0.0
    wall_s: float = 0.0
    peak_rss_bytes: int = 0
    fatals: tuple[Fatal, ...] = ()  # in order of delivery
    exit_stack: tuple[Frame, ...] = ()  # of the thread that called exit, where it was asked for
    stall_stack: tuple[Frame, ...] = ()  # frames common to several samples of a run that ran out of time
    before: Tree = field(default_factory=dict)
    after: Tree = field(default_factory=dict)
    check_status: int | None = None  # of the user's own check
    strikes: tuple[Strike, ...] = ()
    baseline: "Outcome | None" = None  # the clean run, for a run under faults
    unstable: frozenset[str] = frozenset()  # names (paths, "stdout", "stderr") that differ between clean runs
    random_elsewhere: bool = False  # refused randomness, the program had it from another source
    refusals: tuple[Refusal, ...] = ()
    confinement: str = "none"  # e.g. "landlock 6", or why there is none
    reach: Reach | None = None  # None: nobody said
    inside_harness: bool = False  # the input went through LLVMFuzzerTestOneInput
    uncaught: str = ""  # "Type: message" of an exception that a Python harness let through
    uncaught_stack: tuple[Frame, ...] = ()
    sanitizer_report: str = ""  # from the sanitizer's own log file, never from stderr
    sanitizer_stack: tuple[Frame, ...] = ()  # of the bad access in that report
    sanitizer_freed: tuple[Frame, ...] = ()  # of the call that had freed what was used
    scene: Scene = field(default_factory=Scene)
    aftermath: Aftermath | None = None  # None: nobody looked
    # Of files of before, by name: where the clean run empties, removes or renames them; what it only appends to
    given_up: Mapping[str, tuple[Frame, ...]] = field(default_factory=dict)
    appended: frozenset[str] = frozenset()
    temporary: tuple[str, ...] = ()  # what lies in TMPDIR afterwards, relative to it
