"""From an Execution to the table of system calls that makes it: streams, limits, confinement, filter, program.

What can be known before (no such program, no such folder) is refused before a process exists. What only execve(2) can
tell comes back through the table. Either way it is a UsageError, never an outcome of the program.
"""

import errno
import math
import os
import stat
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fcntl import F_DUPFD_CLOEXEC, fcntl
from functools import cache, lru_cache
from pathlib import Path

from firedamp.errors import EnvironmentFailure, UsageError
from firedamp.target import Limits
from firedamp.trace import bpf
from firedamp.trace.protocol import Execution
from firedamp.trace.spawn import Failure, Row, Spawner

# x86-64 numbers (arch/x86/entry/syscalls/syscall_64.tbl)
RT_SIGPROCMASK, DUP2, EXECVE, CHDIR, SETPGID, SETSID, PERSONALITY, PRCTL = 14, 33, 59, 80, 109, 112, 135, 157
PRLIMIT64, SECCOMP, CLOSE_RANGE, LANDLOCK_RESTRICT_SELF = 302, 317, 436, 446

SIG_SETMASK = 2
PR_SET_PDEATHSIG, PR_SET_NO_NEW_PRIVS = 1, 38
ADDR_NO_RANDOMIZE = 0x0040000  # linux/personality.h
SIGKILL = 9
CAP_SYS_ADMIN = 21
RLIMIT_CPU, RLIMIT_FSIZE, RLIMIT_CORE = 0, 1, 4
SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_SPEC_ALLOW = 1, 4
CLOSE_RANGE_CLOEXEC = 4

# Our own clock ends a run that uses too much processor; the kernel's, in whole seconds, is the net under it.
CPU_MARGIN_S = 2
LONGEST_CPU_S = 1 << 40  # for limits of infinity

# Seen even where the policy does not ask, since what they start is invisible to a filter (see Trace.foreign).
PTRACE, IO_URING_SETUP = 101, 425
NOTED = frozenset({PTRACE, IO_URING_SETUP})


# Where earlier runs found their programs, as a shell remembers it: one look instead of one for each folder of PATH.
_found: dict[tuple[str, str], Path] = {}
MOST_FOUND = 64


def _remember(name: str, search: str, program: Path) -> None:
    if len(_found) >= MOST_FOUND:
        _found.clear()
    _found[name, search] = program


def find_program(argv: Sequence[str], environment: Mapping[str, str], folder: Path) -> Path:
    """The file that execvp(3) would run, relative names lying in `folder`."""
    if not argv or not argv[0]:
        raise UsageError("the command is empty; name a program")
    name = argv[0]
    search = environment.get("PATH", os.defpath)
    known = _found.get((name, search))
    if known is not None and os.access(known, os.X_OK):
        return known
    parts = [""] if "/" in name else search.split(":")
    refused: Path | None = None
    for part in parts:
        candidate = folder / part / name
        try:
            mode = candidate.stat().st_mode
        except OSError:
            continue
        if stat.S_ISREG(mode) and os.access(candidate, os.X_OK):
            if all(part.startswith("/") for part in parts):  # else it depends on the folder
                _remember(name, search, candidate)
            return candidate
        refused = refused or candidate
    if refused is not None:
        raise UsageError(f"{refused}: is no executable file; set its x bit or name another program")
    where = "no such file" if "/" in name else "not found in PATH"
    raise UsageError(f"{name}: {where}; name an installed program, or its path")


@dataclass(frozen=True, slots=True, kw_only=True)
class Streams:
    """Descriptors of ours that become the child's: number there -> number here."""

    given: Mapping[int, int]


def _limit_rows(limits: Limits, spawner: Spawner) -> list[Row]:
    cpu_s = math.ceil(min(limits.cpu_s, LONGEST_CPU_S)) + CPU_MARGIN_S
    file_bytes = limits.output_bytes
    pairs = spawner.blob(struct.pack("=6Q", cpu_s, cpu_s + 1, file_bytes, file_bytes, 0, 0))
    # EPERM: an unprivileged caller has a lower hard limit already, which then holds.
    return [
        Row(PRLIMIT64, (0, resource, pairs + 16 * index, 0), tolerated=errno.EPERM, what="prlimit")
        for index, resource in enumerate((RLIMIT_CPU, RLIMIT_FSIZE, RLIMIT_CORE))
    ]


_DIE_WITH_US = Row(PRCTL, (PR_SET_PDEATHSIG, SIGKILL), what="prctl")
_LIVE_ON = Row(PRCTL, (PR_SET_PDEATHSIG, 0), what="prctl")
_OWN_SESSION = Row(SETSID, what="setsid")
_KEEP_NOTHING = Row(CLOSE_RANGE, (0, 0xFFFFFFFF, CLOSE_RANGE_CLOEXEC), tolerated=errno.ENOSYS, what="close_range")
_NO_NEW_PRIVILEGES = Row(PRCTL, (PR_SET_NO_NEW_PRIVS, 1), what="prctl(PR_SET_NO_NEW_PRIVS)")
_FIXED_ADDRESSES = Row(PERSONALITY, (ADDR_NO_RANDOMIZE,), tolerated=errno.EPERM, what="personality")  # EPERM: docker
_filter = lru_cache(maxsize=16)(bpf.program)


MOST_ROWS = 32

_rulesets: dict[object, int] = {}  # the last one


def _ruleset(writable: tuple[Path, ...]) -> int | None:
    """Kept for the next run: making one takes as long as half a dozen stops. A folder that was made anew has another
    number, and cannot have the old one's, since the ruleset holds on to that."""
    from firedamp import jail  # only confined runs need it

    key = (writable, tuple(map(_identity, writable)))
    known = _rulesets.get(key)
    if known is not None:
        return known
    made = jail.ruleset(writable)
    if made is not None:
        while _rulesets:
            os.close(_rulesets.popitem()[1])
        _rulesets[key] = made
    return made


def _identity(path: Path) -> tuple[int, int] | None:
    try:
        place = os.stat(path)  # noqa: PTH116  # for each run under a fault
    except OSError:
        return None
    return place.st_dev, place.st_ino


@cache
def administers() -> bool:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("CapEff:"):
            return bool(int(line[7:], 16) >> CAP_SYS_ADMIN & 1)
    return False


@lru_cache(maxsize=4)
def _encoded(environment: tuple[tuple[str, str], ...]) -> tuple[bytes, ...]:
    """One environment serves many runs."""
    return tuple(os.fsencode(f"{name}={value}") for name, value in environment)


def rows(execution: Execution, program: Path, streams: Streams, spawner: Spawner) -> tuple[list[Row], list[int]]:
    """The child's table, and descriptors of ours to close once it has started."""
    temporary: list[int] = []
    spawner.reset(MOST_ROWS + len(streams.given))
    table = [
        _DIE_WITH_US,
        _OWN_SESSION if execution.group is None else Row(SETPGID, (0, execution.group), what="setpgid"),
        Row(CHDIR, (spawner.blob(os.fsencode(execution.folder) + b"\0"),), what="chdir"),
        _KEEP_NOTHING,
        *(Row(DUP2, (source, target), what="dup2") for target, source in streams.given.items()),
        *_limit_rows(execution.limits, spawner),
        spawner.gate(),
        _LIVE_ON,
        Row(RT_SIGPROCMASK, (SIG_SETMASK, spawner.blob(bytes(8)), 0, 8), what="rt_sigprocmask"),
    ]
    if execution.fixed_addresses:
        table.append(_FIXED_ADDRESSES)
    numbers = execution.interceptor.numbers() if execution.interceptor is not None else frozenset()
    # With CAP_SYS_ADMIN set-user-ID programs keep working; without, one may only filter what cannot gain privileges.
    if execution.writable is not None or (numbers and not administers()):
        table.append(_NO_NEW_PRIVILEGES)
    if execution.writable is not None:
        ruleset = _ruleset(execution.writable)
        if ruleset is not None:
            if ruleset in streams.given:  # a dup2 above would overwrite it
                ruleset = fcntl(ruleset, F_DUPFD_CLOEXEC, max(streams.given) + 1)
                temporary.append(ruleset)
            table.append(Row(LANDLOCK_RESTRICT_SELF, (ruleset, 0), what="landlock_restrict_self"))
    if numbers:
        code = _filter(numbers | NOTED)
        fprog = spawner.blob(struct.pack("=H6xQ", len(code) // 8, spawner.blob(code)))
        arguments = (SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_SPEC_ALLOW, fprog)
        table.append(Row(SECCOMP, arguments, what="seccomp"))
    try:
        argv = spawner.strings([os.fsencode(a) for a in execution.argv])
        environment = spawner.kept_strings(_encoded(execution.environment))
    except OSError as error:
        raise UsageError(f"{execution.argv[0]}: {error.strerror}; shorten the arguments or the environment") from error
    path = spawner.blob(os.fsencode(program) + b"\0")
    table.append(Row(EXECVE, (path, argv, environment), what="execve"))
    return table, temporary


def _loader_remedy(program: Path) -> str:
    """Why execve said ENOENT although the file is there."""
    head = program.open("rb").read(256)
    if head.startswith(b"#!"):
        interpreter = head[2:].split(b"\n")[0].decode(errors="replace").strip()
        return f"its interpreter {interpreter!r} does not exist; correct its #! line"
    return "its dynamic loader does not exist on this machine; build it for this system"


def explain(failure: Failure, execution: Execution, program: Path) -> Exception:
    """The error that a person can act on."""
    if failure.row.number == CHDIR:
        return UsageError(f"{execution.folder}: {os.strerror(failure.errno)}; the working folder must exist")
    if failure.row.number != EXECVE:
        return EnvironmentFailure(
            f"{failure.row.what}: {os.strerror(failure.errno)}; the kernel or a sandbox refuses what a launch needs"
        )
    match failure.errno:
        case errno.ENOENT:
            reason = _loader_remedy(program)
        case errno.ENOEXEC:
            reason = "is neither an x86-64 program nor a script; give it a #! line or run it by its interpreter"
        case errno.ETXTBSY:
            reason = "is still open for writing; close it, or wait for the build to end"
        case errno.E2BIG:
            reason = "the arguments and the environment are too long; shorten them"
        case errno.EACCES:
            reason = "may not be executed (its file system or its interpreter forbids it); move it or set the x bit"
        case number:
            reason = f"{os.strerror(number)}; try it by hand"
    return UsageError(f"{program}: {reason}")
