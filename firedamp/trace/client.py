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
from types import TracebackType
from typing import Self

from firedamp import errors
from firedamp.errors import WorkerDied
from firedamp.trace import wire
from firedamp.trace.protocol import Execution, Trace


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


class Executor:
    """`run` one Execution after another. Not for several threads at once.

    The worker starts at the first run, and dies with the thread that made that run (PR_SET_PDEATHSIG goes by threads).
    """

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None
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
        self._process = self._connection = self._finalizer = None

    @property
    def worker_pid(self) -> int | None:
        return self._process.pid if self._process is not None else None

    def run(self, execution: Execution) -> Trace:
        """One run, to its end or its limits.

        Raises UsageError when the program cannot be started, WorkerDied when our own tracer ended.
        """
        connection = self._connect()
        wanted = (*((0, 1, 2) if execution.inherit_streams else ()), *execution.descriptors)
        descriptors = tuple(number for number in wanted if _is_open(number))
        request = wire.Request(execution=execution, targets=descriptors)
        try:
            wire.send(connection, request, descriptors)
            answer, _ = wire.receive(connection)
        except (EOFError, ConnectionError) as error:
            process = self._process
            self.close()
            status = process.returncode if process is not None else None
            raise WorkerDied(
                f"{execution.argv[0]}: the tracer ended during the run (status {status}); run it again, "
                "and report it when it comes back"
            ) from error
        except BaseException:  # Ctrl-C above all: no child may stay behind
            self.close()
            raise
        match answer:
            case Trace():
                return answer
            case wire.Failed(error=name, text=text):
                raise getattr(errors, name)(text)
        raise WorkerDied(f"the tracer answered {type(answer).__name__}; reinstall firedamp, its parts do not match")

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
