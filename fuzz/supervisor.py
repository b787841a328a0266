"""Our side of one fuzzing child: start it, ask for lives, hear how they ended. Judges nothing."""

import json
import os
import select
import subprocess
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from types import TracebackType
from typing import Any

from firedamp.errors import BuildError, WorkerDied
from fuzz.events import Events, Signature
from fuzz.history import History
from fuzz.monitor import Monitor, Reading
from fuzz.plan import Plan
from fuzz.status import Status

START_S = 60.0  # a cold start takes 0.1 s; sanitizer runtimes on a loaded machine take seconds
CLOSE_S = 10.0  # takes milliseconds
_LOG_TAIL_BYTES = 4096


@dataclass(frozen=True, slots=True, kw_only=True)
class End:
    """How a life ended: by a signal, or with an exit status. `status.initialised` false: while reading the corpus."""

    signal: int | None
    exit_status: int | None
    reading: Reading
    status: Status
    said: str  # the end of libFuzzer's log
    fatal: Signature | None = None  # of what was detected and could not be survived


class Supervisor:
    """Context manager over one child process and the memory shared with it."""

    def __init__(self, plan: Plan, *, max_len: int) -> None:
        """`plan` without its descriptors; they are made here. Raises BuildError when the target cannot be loaded."""
        self.monitor = Monitor.create(max_len)
        self._history = History.create(max_len)
        self.events = Events.create(max_len)
        self._shared = (self.monitor.memory, self._history.memory, self.events.memory)
        self._log_fd = os.memfd_create("firedamp-log", os.MFD_CLOEXEC)
        self._log_offset = 0
        self._unread = ""
        self._said = ""
        self.status = Status()
        request_fd, self._control_fd = os.pipe()
        self.status_fd, answer_fd = os.pipe()
        self._answers = b""
        self._plan = replace(
            plan,
            supervisor_pid=os.getpid(),
            control_fd=request_fd,
            status_fd=answer_fd,
            log_fd=self._log_fd,
            monitor_fd=self.monitor.memory.fd,
            monitor_bytes=self.monitor.memory.size_bytes,
            history_fd=self._history.memory.fd,
            history_bytes=self._history.memory.size_bytes,
            events_fd=self.events.memory.fd,
            events_bytes=self.events.memory.size_bytes,
        )
        self._child = self._spawn(request_fd, answer_fd)
        try:
            self.namespace, self.confinement = self._hear_ready()
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> "Supervisor":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def pid(self) -> int:
        return self._child.pid

    @property
    def spool(self) -> Path:
        return Path(self._plan.spool)

    def begin(self, argv: tuple[str, ...]) -> None:
        """Start the next life; one at a time."""
        self.spool.mkdir(parents=True, exist_ok=True)  # the target may have removed it
        self.monitor.mend()
        self.monitor.leave()
        self._history.clear()
        self.events.begin()
        os.ftruncate(self._log_fd, 0)
        os.lseek(self._log_fd, 0, os.SEEK_SET)
        self._log_offset, self._unread, self._said = 0, "", ""
        self.status = Status()
        self._tell(json.dumps({"argv": argv}))

    @property
    def intact(self) -> bool:
        """False: the target has written over the memory that we share with it."""
        return self.monitor.intact and self.events.intact

    def kill(self) -> None:
        """End the life under way; its End is heard like any other."""
        self._tell("")

    def follow(self) -> Status:
        """Read what libFuzzer has said since the last call."""
        while chunk := os.pread(self._log_fd, 1 << 20, self._log_offset):
            self._log_offset += len(chunk)
            text = self._unread + chunk.decode("utf-8", "replace")
            complete, newline, self._unread = text.rpartition("\n")
            self.status = self.status.after(complete + newline)
            self._said = (self._said + complete + newline)[-_LOG_TAIL_BYTES:]
        return self.status

    def log(self) -> str:
        """All that libFuzzer has said in this life."""
        return os.pread(self._log_fd, os.fstat(self._log_fd).st_size, 0).decode("utf-8", "replace")

    def hear(self, timeout_s: float) -> End | None:
        """The end of the life under way, or None when it still goes on after `timeout_s`."""
        answer = self._answer(timeout_s)
        if answer is None:
            return None
        status = self.follow()
        return End(
            signal=answer["signal"],
            exit_status=answer["status"],
            reading=self.monitor.read(),
            status=status,
            said=self._said + self._unread,
            fatal=self.events.fatal(),
        )

    def history(self) -> tuple[bytes, ...]:
        """The latest inputs of the life, oldest first, the last one included. Empty where each has its own process."""
        return self._history.read()

    def close(self) -> None:
        """End everything below us and wait until it is gone.

        The guardian leaves after the first process of the namespace, and that one can be reaped only when the kernel
        has ended all others in it (zap_pid_ns_processes). An end of file would say less: files are closed before that.
        """
        os.close(self._control_fd)
        try:
            self._child.wait(CLOSE_S)
        except subprocess.TimeoutExpired:  # still loading the target, and deaf
            self._child.kill()
            self._child.wait()
        os.close(self.status_fd)
        os.close(self._log_fd)
        for memory in self._shared:
            memory.close()

    def _spawn(self, request_fd: int, answer_fd: int) -> subprocess.Popen[bytes]:
        Path(self._plan.folder).mkdir(parents=True, exist_ok=True)
        try:
            return subprocess.Popen(
                [sys.executable, "-P", "-m", "fuzz.driver", self._plan.dump()],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=self._log_fd,
                pass_fds=(request_fd, answer_fd, self._log_fd, *(memory.fd for memory in self._shared)),
                start_new_session=True,
            )
        finally:
            os.close(request_fd)
            os.close(answer_fd)

    def _hear_ready(self) -> tuple[bool, str]:
        answer = self._answer(START_S)
        if answer is None:
            raise WorkerDied(f"fuzzing child: not ready after {START_S:.0f} s; the machine is overloaded, try again")
        if "error" in answer:
            name = self._plan.library or self._plan.harness or self._plan.command[0]
            raise BuildError(f"{name}: cannot be loaded for fuzzing:\n{answer['error']}")
        return bool(answer["namespace"]), str(answer["confinement"])

    def _answer(self, timeout_s: float) -> dict[str, Any] | None:
        while b"\n" not in self._answers:
            if not select.select([self.status_fd], [], [], timeout_s)[0]:
                return None
            chunk = os.read(self.status_fd, 65536)
            if not chunk:
                self.follow()
                raise WorkerDied(
                    f"fuzzing child {self._child.pid}: ended by itself; run again.\n{self._said}{self._unread}"
                )
            self._answers += chunk
        line, _, self._answers = self._answers.partition(b"\n")
        return dict(json.loads(line))

    def _tell(self, line: str) -> None:
        try:
            os.write(self._control_fd, (line + "\n").encode())
        except BrokenPipeError:
            raise WorkerDied(f"fuzzing child {self._child.pid}: is gone; run again") from None
