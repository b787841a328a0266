"""One execution in a fresh process: an input or a command, a private room, limits, confinement -> Outcome.

Both engines are judged by what comes out of here. This room decides nothing about what a run means: guards do.
"""

import os
import re
import subprocess
import tempfile
import threading
from collections.abc import Callable, Generator, Mapping
from contextlib import ExitStack, closing, suppress
from dataclasses import dataclass, field, replace
from functools import lru_cache
from itertools import islice, pairwise
from pathlib import Path
from signal import SIGKILL
from types import TracebackType
from typing import Self

from firedamp import jail, sanitizers, symbols, uncaught
from firedamp.call_line import SYSTEM_HEADER, call_line
from firedamp.canary.frame import read_smash
from firedamp.canary.line import check_address
from firedamp.errors import UsageError
from firedamp.outcome import Access, Fatal, Frame, Outcome, Reach, Tree
from firedamp.room import EXCLUDED, Room
from firedamp.target import Build, InputMode, Profile, Target, TargetKind
from firedamp.trace.client import Executor
from firedamp.trace.protocol import Branching, Execution, Interceptor, Left, Snapshots, Trace, Verdict
from firedamp.unwind import is_own

NAMING = threading.Lock()  # symbols reads files at one position, and benches may run in several threads
PLACEHOLDER = "@@"
ARGUMENT_LIMIT_BYTES = 128 * 1024 - 1  # MAX_ARG_STRLEN of execve(2), without the closing NUL
SHELL_LIMIT_S = 60.0  # of `setup` and of `check`: they prepare and compare, they do not work
STILL_RUNNING = 124  # the status that timeout(1) gives to a command that it had to stop
START_FILES = frozenset({"_start", "_init", "_fini", "__do_global_dtors_aux", "frame_dummy"})  # of crt1.o and crti.o
CANARY_CHECK = "__stack_chk_fail"
LEAST_ADDRESS_BYTES = 5  # fewer are found in an input by chance, and address little
PLACED_FRAMES = 4  # own frames that a signature may look at: the failing one, and who called it
HARNESS_ENTRY = "LLVMFuzzerTestOneInput"
RUNTIME_FILE = re.compile(r"(.*/)?firedamp/runtime/\w+\.c")  # as build.py names it in the debug information
# glibc's own wrappers, as clang keeps them where they take variable arguments (misc/sys/cdefs.h, __fortify_clang_*).
FORTIFY_WRAPPER = re.compile(r"_ZL\d+\w+pass_(dynamic_)?object_size\d")
SANITIZER_FUNCTION = re.compile(r"_*(interceptor_|asan_|ubsan_|sanitizer_|sancov_|lsan_)")

# What this process, its test runner or an IDE put there and a program must not see: each could change what it does.
NOISE = re.compile(
    r"LD_(PRELOAD|AUDIT|DEBUG.*|BIND_NOW|TRACE.*|SHOW_AUXV)|LC_.*|LANG|LANGUAGE|MALLOC_.*|GLIBC_TUNABLES|.*SAN_OPTIONS"
    r"|PYTHON.*|PYTEST_.*|COV_.*|COVERAGE_.*|VIRTUAL_ENV.*|OLDPWD|PWD|SHLVL|_|COLUMNS|LINES|LS_COLORS|TMP|TEMP|TMPDIR"
)


def clean_environment(environment: Mapping[str, str]) -> dict[str, str]:
    """The user's variables without the noise; messages are English, as on every machine that replays a finding."""
    kept = {name: value for name, value in environment.items() if not NOISE.fullmatch(name)}
    return {**kept, "LC_ALL": "C"}


def resolve_outcome(outcome: Outcome, data: bytes = b"") -> Outcome:
    """Raw frames get function, file and line; `own` is taken from the runtimes' frames. `data` is the run's input."""
    if not (outcome.fatals or outcome.exit_stack or outcome.stall_stack):
        return outcome
    return replace(
        outcome,
        fatals=tuple(_resolve_fatal(fatal, data) for fatal in outcome.fatals),
        exit_stack=resolve_stack(outcome.exit_stack),
        stall_stack=resolve_stack(outcome.stall_stack),
    )


def resolve_stack(stack: tuple[Frame, ...], *, sanitized: bool = False) -> tuple[Frame, ...]:
    """The same stack comes again in many runs; what its files looked like then is part of what is remembered."""
    if not stack:
        return ()
    versions = tuple(_version(module) for module in {frame.module: None for frame in stack})
    with NAMING:
        return _resolve_stack(stack, versions, sanitized=sanitized)


def _version(module: str) -> tuple[int, int, int] | None:
    try:
        status = os.stat(module)  # noqa: PTH116  # for each run under a fault
    except (OSError, ValueError):
        return None
    return status.st_ino, status.st_mtime_ns, status.st_size


@lru_cache(maxsize=4096)
def _resolve_stack(stack: tuple[Frame, ...], versions: object, *, sanitized: bool) -> tuple[Frame, ...]:
    frames = tuple(_out_of_headers(frame) for frame in symbols.resolve(stack))
    frames = (*frames[:1], *(_at_its_check(below, above) for above, below in pairwise(frames)))
    entry = next((index for index, frame in enumerate(frames) if frame.function == HARNESS_ENTRY), len(frames))
    owned = tuple(
        replace(frame, own=False) if index > entry or _is_runtime(frame, sanitized=sanitized) else frame
        for index, frame in enumerate(frames)
    )
    placed = tuple(islice((index for index, frame in enumerate(owned) if frame.own), PLACED_FRAMES))
    return tuple(_within(frame) if index in placed else frame for index, frame in enumerate(owned))


def _resolve_report(stack: tuple[Frame, ...]) -> tuple[Frame, ...]:
    return resolve_stack(tuple(replace(frame, own=is_own(frame.module)) for frame in stack), sanitized=True)


def _within(frame: Frame) -> Frame:
    """With the user's function round it: a fortified wrapper, inlined from glibc's headers, is none."""
    scope = next((each for each in symbols.scopes(frame) if not SYSTEM_HEADER.match(each.file)), None)
    return frame if scope is None else replace(frame, within=scope.name, within_line=scope.line)


def _out_of_headers(frame: Frame) -> Frame:
    """A fortified wrapper is inlined from glibc's headers: what a person wants to see is the call of it."""
    if frame.file is None or not SYSTEM_HEADER.match(frame.file):
        return frame
    file, line = call_line(frame.module, frame.offset) or (frame.file, frame.line)
    return replace(frame, file=file, line=line)


def _at_its_check(caller: Frame, frame: Frame) -> Frame:
    """`caller` with the line where its canary was found dead, if `frame` is the end of that check."""
    if frame.function != CANARY_CHECK or caller.function_offset is None:
        return caller
    check = check_address(caller.module, caller.offset - caller.function_offset, caller.offset)
    if check is None:
        return caller
    there = symbols.resolve_frame(Frame(module=caller.module, offset=check))
    return replace(caller, file=there.file or caller.file, line=there.line or caller.line)


def _resolve_fatal(fatal: Fatal, data: bytes) -> Fatal:
    named = replace(fatal, stack=resolve_stack(fatal.stack), address_input=_address_input(fatal, data))
    if named.scene is None:
        return named
    with NAMING:
        return replace(named, scene=None, smash=read_smash(named, data))


def _address_input(fatal: Fatal, data: bytes) -> tuple[int, int] | None:
    """The place in the input of the address that was written or jumped to, as it lies in memory."""
    if fatal.address is None or fatal.access not in (Access.WRITE, Access.EXEC):
        return None
    image = fatal.address.to_bytes(8, "little").rstrip(b"\0")
    at = data.find(image) if len(image) >= LEAST_ADDRESS_BYTES else -1
    return None if at < 0 else (at, at + len(image))


def _is_runtime(frame: Frame, *, sanitized: bool) -> bool:
    """A statically linked sanitizer runtime has no debug information, while we compile every target with it."""
    function = frame.function or ""
    return (
        function.startswith("firedamp_")
        or function in START_FILES
        or RUNTIME_FILE.fullmatch(frame.file or "") is not None
        or SANITIZER_FUNCTION.match(function) is not None
        or FORTIFY_WRAPPER.match(function) is not None
        or (sanitized and frame.file is None)
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Streams:
    """Files of a program's standard streams; relative names lie in the private folder. None: /dev/null, captured."""

    stdin: str | None = None
    stdout: str | None = None
    stderr: str | None = None
    inherit: bool = False  # the program gets ours

    @classmethod
    def of(cls, target: Target) -> Self:
        return cls(stdin=target.stdin, stdout=target.stdout, stderr=target.stderr)


@dataclass(frozen=True, slots=True, kw_only=True)
class Attachment:
    """What is added to each run beside the target: variables, folders it may write, what stands round interceptors."""

    variables: Mapping[str, str] = field(default_factory=dict)
    writable: tuple[Path, ...] = ()
    around: Callable[[Interceptor], Interceptor] = lambda inner: inner


class Bench:
    """Runs one target again and again, each time from the same bytes. A context manager: it owns a worker process.

    `command` stands in for the target's own (with argv[0]); `scratch` is where the private copy lies; `workdir` is
    what is copied; an `executor` that is given stays the caller's; `variables` may be set at any time, and are added to
    the environment of the next runs. UsageError: `setup` fails, or the input has no
    way into the program.
    """

    def __init__(
        self,
        target: Target,
        build: Build | None,
        *,
        command: tuple[str, ...] | None = None,
        scratch: Path | None = None,
        workdir: Path | None = None,
        executor: Executor | None = None,
    ) -> None:
        self.target = target
        self.build = build
        self.command = command or _command(target, build)
        self.variables: Mapping[str, str] = {}
        self.attachment = Attachment()
        self.foreign: dict[str, None] = {}  # Trace.foreign of all runs, in order
        self._source = workdir or target.workspace
        self._scratch = scratch
        self._lent = executor
        self._stack = ExitStack()
        self._prepared = False

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            self.executor = self._lent or stack.enter_context(Executor())
            self.room = stack.enter_context(
                Room(self._source, scratch=self._scratch, exclude=EXCLUDED | self.target.left_out)
            )
            self._environment = self._make_environment()
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()

    def watch_input(self, data: bytes, interceptor: Interceptor) -> tuple[Outcome, object]:
        """One input as `run_input` gives it, with what the interceptor reports."""
        self._fresh()
        (payload,) = self._write((data,))
        argv, stdin = (
            ((*self.command, str(payload)), None)
            if self.target.input is InputMode.BUFFER
            else self._feed(data, payload)
        )
        return self._run(replace(self._execution(argv, Streams()), stdin=stdin, interceptor=interceptor), data)

    def run_input(self, data: bytes) -> Outcome:
        """One input through the target's own door: a harness, standard input, a file or an argument."""
        return self.run_inputs((data,))

    def run_inputs(self, inputs: tuple[bytes, ...]) -> Outcome:
        """One process that is given each input in turn. Only a harness takes more than one."""
        if len(inputs) != 1 and self.target.input is not InputMode.BUFFER:
            raise UsageError(
                f"{self.target.name}: each process takes one input, not {len(inputs)}; replay them one by one"
            )
        self._fresh()
        payloads = self._write(inputs)
        argv, stdin = (
            ((*self.command, *map(str, payloads)), None)
            if self.target.input is InputMode.BUFFER
            else self._feed(inputs[0], payloads[0])
        )
        harness = self.target.kind is TargetKind.HARNESS
        execution = replace(self._execution(argv, Streams()), stdin=stdin, exit_stack=harness or self._sanitized)
        outcome, _ = self._run(execution, inputs[-1])
        if self.target.kind is TargetKind.PYTHON:
            said, stack = uncaught.read(self.room.tmp)
            outcome = replace(outcome, uncaught=said, uncaught_stack=stack)
        return replace(outcome, inside_harness=harness)

    def run_command(
        self,
        *,
        interceptor: Interceptor | None = None,
        snapshot: bool = False,
        streams: Streams | None = None,
    ) -> tuple[Outcome, object]:
        """The target's command as it stands; with the interceptor's report, which is None without one.

        `snapshot` fills Outcome.before and Outcome.after. A `check` of the target runs afterwards.
        """
        self._fresh()
        before: Tree = self.room.first_tree() if snapshot else {}
        around = None if interceptor is None else self.attachment.around(interceptor)
        execution = replace(self._command_execution(streams), interceptor=around)
        outcome, report = self._run(execution)
        seen = self._left_behind(outcome, before) if snapshot else replace(outcome, check_status=self._check())
        return seen, report

    def _left_behind(self, outcome: Outcome, before: Tree) -> Outcome:
        """With what lies in the room now, and what the target's check says of it."""
        after, temporary = self.room.tree(), self.room.temporary()
        return replace(outcome, before=before, after=after, temporary=temporary, check_status=self._check())

    def run_branching(
        self, branching: Branching, *, streams: Streams | None = None
    ) -> Generator[tuple[int, Outcome, object], Verdict, Left]:
        """Many runs of the command that begin alike, each as `run_command` with `snapshot` and one of the interceptors
        would show it: (index, outcome, report). What is left over needs runs of its own.
        """
        self._fresh()
        before = self.room.first_tree()
        runs = self.executor.run_snapshots(
            Snapshots(
                execution=self._command_execution(streams),
                branching=branching,
                folders=(self.room.path, self.room.tmp),
                shadows=self.room.shadows,
            )
        )
        with closing(runs):
            try:
                snapshot = next(runs)
                while True:
                    outcome = self._left_behind(self._resolved(snapshot.trace), before)
                    verdict = yield snapshot.index, outcome, snapshot.trace.report
                    snapshot = runs.send(verdict)
            except StopIteration as end:
                left: Left = end.value
                return left

    def _fresh(self) -> None:
        self.room.reset()
        if not self._prepared and self.target.setup is not None:
            self._set_up(self.target.setup)
            self.room.adopt()
        self._prepared = True

    def _run(self, execution: Execution, data: bytes = b"") -> tuple[Outcome, object]:
        trace = self.executor.run(execution)
        return self._resolved(trace, data), trace.report

    def _resolved(self, trace: Trace, data: bytes = b"") -> Outcome:
        self.foreign |= dict.fromkeys(trace.foreign)
        outcome = resolve_outcome(replace(trace.outcome, confinement=jail.level()), data)
        outcome = replace(outcome, reach=reach(self.target))
        return self._with_report(outcome) if self._sanitized else outcome

    def _with_report(self, outcome: Outcome) -> Outcome:
        if report := sanitizers.read_report(self.room.tmp):
            return replace(
                outcome,
                sanitizer_report=report,
                sanitizer_stack=_resolve_report(sanitizers.report_stack(report)),
                sanitizer_freed=_resolve_report(sanitizers.freed_stack(report)),
            )
        if said := sanitizers.read_handler(outcome):
            return replace(outcome, sanitizer_report=said[0], sanitizer_stack=said[1])
        return outcome

    @property
    def _sanitized(self) -> bool:
        return self.build is not None and (self.build.profile is Profile.ASAN or bool(self.build.proof.sanitizers))

    def environment(self) -> dict[str, str]:
        """Ours as it was when the bench was opened, without the noise."""
        return dict(self._environment)

    def _make_environment(self) -> dict[str, str]:
        extra = {"TMPDIR": str(self.room.tmp), "PWD": str(self.room.path)}
        if self._sanitized:
            extra |= sanitizers.environment(self.room.tmp / sanitizers.LOG_NAME)
        return clean_environment(os.environ) | extra

    def _execution(self, argv: tuple[str, ...], streams: Streams) -> Execution:
        return Execution(
            argv=argv,
            environment=tuple({**self.environment(), **self.variables, **self.attachment.variables}.items()),
            folder=self.room.path,
            stdin=self._file(streams.stdin),
            stdout=self._file(streams.stdout),
            stderr=self._file(streams.stderr),
            inherit_streams=streams.inherit,
            limits=self.target.limits,
            writable=(self.room.path, self.room.tmp, *self.attachment.writable),
        )

    def _command_execution(self, streams: Streams | None) -> Execution:
        """With fixed addresses: its runs are compared, and what a stack is needs be found out but once."""
        execution = self._execution(self.command, streams or Streams.of(self.target))
        return replace(execution, fixed_addresses=True)

    def _file(self, name: str | None) -> Path | None:
        return None if name is None else self.room.path / name

    def _write(self, inputs: tuple[bytes, ...]) -> tuple[Path, ...]:
        """Beside the working folder: the program may write there, but does not list it."""
        names = ("input",) if len(inputs) == 1 else (f"input-{number:04}" for number in range(len(inputs)))
        paths = tuple(self.room.tmp / name for name in names)
        for path, data in zip(paths, inputs, strict=True):
            path.write_bytes(data)
        return paths

    def _feed(self, data: bytes, payload: Path) -> tuple[tuple[str, ...], Path | None]:
        """The command line and the file behind standard input that bring `data` into the program."""
        match self.target.input:
            case InputMode.BUFFER:
                return (*self.command, str(payload)), None
            case InputMode.STDIN:
                return self.command, payload
            case InputMode.FILE:
                return self._placed(str(payload)), None
            case InputMode.ARGV:
                return self._placed(argument(data)), None
            case InputMode.NONE:
                return self.command, None

    def _placed(self, text: str) -> tuple[str, ...]:
        if not any(PLACEHOLDER in word for word in self.command):
            raise UsageError(
                f"{self.target.name}: input is {self.target.input.value!r} but no argument of {self.command} holds "
                f"{PLACEHOLDER}; write {PLACEHOLDER} where the input belongs, or set input = 'stdin'"
            )
        return tuple(word.replace(PLACEHOLDER, text) for word in self.command)

    def _set_up(self, script: str) -> None:
        status, said = self._shell(script)
        if status != 0:
            how = f"ended with status {status}" if status != STILL_RUNNING else f"took longer than {SHELL_LIMIT_S:g} s"
            raise UsageError(
                f"{self.target.name}: setup {script!r} {how}; it must leave the working folder ready and exit 0. "
                f"It said: {said.decode('utf-8', 'replace').strip() or 'nothing'}"
            )

    def _check(self) -> int | None:
        return None if self.target.check is None else self._shell(self.target.check)[0]

    def _shell(self, script: str) -> tuple[int, bytes]:
        """Exit status and stderr of a command of the user's in the private folder; its children end with it."""
        with tempfile.TemporaryFile() as said:
            shell = subprocess.Popen(
                ["sh", "-c", script],
                cwd=self.room.path,
                env=self.environment(),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=said,
                start_new_session=True,
            )
            try:
                status = shell.wait(SHELL_LIMIT_S)
            except subprocess.TimeoutExpired:
                status = STILL_RUNNING
            finally:
                with suppress(ProcessLookupError):  # nothing of it is left, which is the rule
                    os.killpg(shell.pid, SIGKILL)
                shell.wait()
            said.seek(0)
            return status, said.read()


def reach(target: Target) -> Reach:
    """Who can give the target its input. A library is judged by the worst of its callers, as CVSS does (v3.1 User
    Guide, 3.7); files, arguments and standard input come from somebody on the machine unless firedamp.toml says else.
    """
    if target.input_from is not None:
        return Reach(target.input_from)
    return Reach.REMOTE if target.kind in (TargetKind.HARNESS, TargetKind.PYTHON) else Reach.LOCAL


def argument(data: bytes) -> str:
    """The bytes as one argument of execve(2): up to the first NUL, at most MAX_ARG_STRLEN."""
    return os.fsdecode(data.split(b"\0", 1)[0][:ARGUMENT_LIMIT_BYTES])


def _command(target: Target, build: Build | None) -> tuple[str, ...]:
    if build is not None and target.kind is not TargetKind.COMMAND:
        return (str(build.executable), *target.args)
    return target.command
