"""One execution in a fresh process: an input or a command, a private room, limits, confinement -> Outcome.

Both engines are judged by what comes out of here. This room decides nothing about what a run means: guards do.
"""

import os
import re
import subprocess
import tempfile
from collections.abc import Callable, Generator, Mapping
from contextlib import ExitStack, closing, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from signal import SIGKILL
from types import TracebackType
from typing import Self

from firedamp import jail, sanitizers, uncaught
from firedamp.errors import UsageError
from firedamp.naming import resolve_outcome, resolve_report
from firedamp.outcome import Outcome, Reach, Tree
from firedamp.room import EXCLUDED, Room
from firedamp.target import Build, InputMode, Profile, Target, TargetKind
from firedamp.trace.client import Executor
from firedamp.trace.protocol import Branching, Execution, Interceptor, Left, Snapshots, Trace, Verdict

PLACEHOLDER = "@@"
ARGUMENT_LIMIT_BYTES = 128 * 1024 - 1  # MAX_ARG_STRLEN of execve(2), without the closing NUL
SHELL_LIMIT_S = 60.0  # of `setup` and of `check`: they prepare and compare, they do not work
STILL_RUNNING = 124  # the status that timeout(1) gives to a command that it had to stop

# What this process, its test runner or an IDE put there and a program must not see: each could change what it does.
NOISE = re.compile(
    r"LD_(PRELOAD|AUDIT|DEBUG.*|BIND_NOW|TRACE.*|SHOW_AUXV)|LC_.*|LANG|LANGUAGE|MALLOC_.*|GLIBC_TUNABLES|.*SAN_OPTIONS"
    r"|PYTHON.*|PYTEST_.*|COV_.*|COVERAGE_.*|VIRTUAL_ENV.*|OLDPWD|PWD|SHLVL|_|COLUMNS|LINES|LS_COLORS|TMP|TEMP|TMPDIR"
)


def clean_environment(environment: Mapping[str, str]) -> dict[str, str]:
    """The user's variables without the noise; messages are English, as on every machine that replays a finding."""
    kept = {name: value for name, value in environment.items() if not NOISE.fullmatch(name)}
    return {**kept, "LC_ALL": "C"}


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
        argv, stdin = self._feed((data,))
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
        argv, stdin = self._feed(inputs)
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
                sanitizer_stack=resolve_report(sanitizers.report_stack(report)),
                sanitizer_freed=resolve_report(sanitizers.freed_stack(report)),
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

    def _feed(self, inputs: tuple[bytes, ...]) -> tuple[tuple[str, ...], Path | None]:
        """The command line and the file behind standard input that bring them into the program, or a harness."""
        first, *_ = payloads = self._write(inputs)
        match self.target.input:
            case InputMode.BUFFER:
                return (*self.command, *map(str, payloads)), None
            case InputMode.STDIN:
                return self.command, first
            case InputMode.FILE:
                return self._placed(str(first)), None
            case InputMode.ARGV:
                return self._placed(argument(inputs[0])), None
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
