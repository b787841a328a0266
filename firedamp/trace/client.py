"""The Executor: one worker process that runs and traces programs, one at a time.

The worker is a process of its own because ptrace(2) binds tracees to one thread, because a small process starts
children cheaply, and because only it loads python-ptrace. If it dies it is replaced at the next run.
"""

import contextlib
import os
import socket
import subprocess
import sys
import weakref
from collections.abc import Generator
from types import TracebackType
from typing import Self

from firedamp import errors
from firedamp.errors import WorkerDied
from firedamp.trace import wire
from firedamp.trace.protocol import Execution, Left, Snapshot, Snapshots, Trace, Verdict


def _end(process: subprocess.Popen[bytes], connection: socket.socket) -> None:
    """Kill the worker, and by PTRACE_O_EXITKILL with it everything that it traces; leave no zombie."""
    connection.close()
    process.kill()
    process.wait()


def _is_open(descriptor: int) -> bool:
    try:
        os.fstat(descriptor)
    except OSError:
        return False
    return True


def _unexpected(answer: object) -> WorkerDied:
    return WorkerDied(f"the tracer answered {type(answer).__name__}; reinstall firedamp, its parts do not match")


class Executor:
    """`run` one Execution after another. Not for several threads at once.

    The worker starts at the first run, and dies with the thread that made that run (PR_SET_PDEATHSIG goes by threads).
    """

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        self._last: tuple[object, ...] | None = None  # of the Execution that the worker ran last
        self._connection: socket.socket | None = None
        self._finalizer: weakref.finalize[[subprocess.Popen[bytes], socket.socket], Executor] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """End the worker and whatever it still runs. The next `run` would start another."""
        if self._finalizer is not None:
            self._finalizer()
        self._process = self._connection = self._finalizer = self._last = None

    @property
    def worker_pid(self) -> int | None:
        return self._process.pid if self._process is not None else None

    def run(self, execution: Execution) -> Trace:
        """One run, to its end or its limits.

        Raises UsageError when the program cannot be started, WorkerDied when our own tracer ended.
        """
        numbers = (*((0, 1, 2) if execution.inherit_streams else ()), *execution.descriptors)
        descriptors = tuple(number for number in numbers if _is_open(number))
        self._connect()  # another worker knows nothing of the last run
        facts = wire.but_interceptor(execution)
        wanted = wire.Again(interceptor=execution.interceptor) if facts == self._last else execution
        self._last = None  # until the worker has it for certain
        answer = self._ask(execution.argv[0], wire.Request(execution=wanted, targets=descriptors), descriptors)
        self._last = facts
        if not isinstance(answer, Trace):
            raise _unexpected(answer)
        return answer

    def run_snapshots(self, snapshots: Snapshots) -> Generator[Snapshot, Verdict, Left]:
        """Runs that begin alike, in the order in which they part; each waits for its Verdict. Raises as `run` does.

        To leave off before the end, send a Verdict that stops; a generator that is closed ends the worker.
        """
        name, self._last = snapshots.execution.argv[0], None
        message: wire.Request | Verdict = wire.Request(execution=snapshots)
        try:
            while True:
                match self._ask(name, message):
                    case Snapshot() as snapshot:
                        message = yield snapshot
                    case Left() as left:
                        return left
                    case answer:
                        raise _unexpected(answer)
        except GeneratorExit:
            self.close()
            raise

    def _ask(self, name: str, message: object, descriptors: tuple[int, ...] = ()) -> object:
        """One message, one answer."""
        connection = self._connect()
        try:
            wire.send(connection, message, descriptors)
            answer, _ = wire.receive(connection)
        except (EOFError, ConnectionError) as error:
            process = self._process
            self.close()
            status = process.returncode if process is not None else None
            raise WorkerDied(
                f"{name}: the tracer ended during the run (status {status}); run it again, "
                "and report it when it comes back"
            ) from error
        except BaseException:  # Ctrl-C above all: no child may stay behind
            self.close()
            raise
        if isinstance(answer, wire.Failed):
            raise getattr(errors, answer.error)(answer.text)
        return answer

    def _connect(self) -> socket.socket:
        if self._process is not None and self._process.poll() is not None:
            self.close()
        if self._connection is not None:
            return self._connection
        ours, theirs = socket.socketpair()
        with contextlib.closing(theirs):
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-m", "firedamp.trace.worker", str(theirs.fileno()), str(os.getpid())],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                pass_fds=(theirs.fileno(),),
                process_group=0,  # Ctrl-C is not for the worker; in our session, so that a program may join our group
            )
        self._connection = ours
        self._finalizer = weakref.finalize(self, _end, self._process, ours)
        return ours
