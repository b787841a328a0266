"""Programs with a main of their own: one process per input, under the same libFuzzer.

A crash there does not end the life: its input goes to the spool, from where the supervisor takes it.
"""

import ctypes
import os
import resource
import select
import signal
import traceback
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import assert_never

from firedamp.run import PLACEHOLDER, argument, clean_environment
from firedamp.target import InputMode
from fuzz.life import Life, run_driver
from fuzz.monitor import Monitor
from fuzz.mutation import Mutator
from fuzz.plan import Plan
from fuzz.shared_memory import SharedMemory

MAP_BYTES = 1 << 16  # of firedamp/runtime/program_coverage.c
ALIKE_LIMIT = 32  # inputs per cause of death that a program without coverage may leave in the spool
_CALLBACK = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_uint8), ctypes.c_size_t)
_KNOWN = bytes([0] + [1] * 255)  # a counter -> was the place reached


def program_life(plan: Plan, fuzzer: ctypes.CDLL, mutator: Mutator | None) -> Life:
    """The map is libFuzzer's counters: it sees new places of the program as it would see its own."""
    coverage_map = CoverageMap(mutator.operand_bytes if mutator else 0)
    coverage_map.register(fuzzer)
    if mutator is not None:
        mutator.follow(fuzzer, coverage_map.operands)
    monitor = Monitor(SharedMemory(plan.monitor_fd, plan.monitor_bytes))
    runner = _Runner(plan=plan, map=coverage_map, monitor=monitor)

    def live(argv: list[str]) -> int:
        runner.open()
        if mutator is not None:
            argv = mutator.adapt(argv)
        return run_driver(fuzzer, argv, _CALLBACK(runner.one_input))

    return live


class CoverageMap:
    """64 KiB of counters in a memfd, with the table of places that libFuzzer wants beside them.

    Behind the counters, in the same memfd, the program writes what it compares.
    """

    def __init__(self, operand_bytes: int) -> None:
        self.memory = SharedMemory.create("map", MAP_BYTES + operand_bytes)
        self._counters = (ctypes.c_uint8 * MAP_BYTES).from_buffer(self.memory.map)
        # (address, flags) pairs; the addresses only have to differ
        self._places = (ctypes.c_size_t * (2 * MAP_BYTES))(*(word for n in range(MAP_BYTES) for word in (n + 1, 0)))

    def register(self, fuzzer: ctypes.CDLL) -> None:
        start = ctypes.addressof(self._counters)
        _register(fuzzer, "__sanitizer_cov_8bit_counters_init", start, MAP_BYTES)
        _register(fuzzer, "__sanitizer_cov_pcs_init", ctypes.addressof(self._places), ctypes.sizeof(self._places))

    @property
    def operands(self) -> int:
        """The address of what the program compared."""
        return ctypes.addressof(self._counters) + MAP_BYTES

    def reached(self) -> int:
        """One byte per place, 1 where the program has been."""
        return int.from_bytes(self.memory.map[:MAP_BYTES].translate(_KNOWN), "little")

    def mark(self, place: int) -> None:
        self._counters[place % MAP_BYTES] = 1


def _register(fuzzer: ctypes.CDLL, name: str, start: int, size_bytes: int) -> None:
    getattr(fuzzer, name)(ctypes.c_void_p(start), ctypes.c_void_p(start + size_bytes))


@dataclass(slots=True, kw_only=True)
class _Runner:
    """Runs the program once per input and sorts its ends. Lives in the worker only."""

    plan: Plan
    map: CoverageMap
    monitor: Monitor
    stdin_fd: int = -1
    input_path: Path = Path()
    environment: dict[str, str] = field(default_factory=dict)
    deadly: int = 0  # places reached by the deaths so far, as in CoverageMap.reached
    deaths: Counter[str] = field(default_factory=Counter)

    def open(self) -> None:
        self.stdin_fd = os.memfd_create("firedamp-input", os.MFD_CLOEXEC)
        self.input_path = Path(self.plan.spool).parent / "input"
        self.environment = clean_environment(os.environ) | {"PWD": self.plan.folder}
        self.environment |= {"ASAN_OPTIONS": "abort_on_error=1:detect_leaks=0", "UBSAN_OPTIONS": "halt_on_error=1"}
        if self.plan.covered:
            self.environment["FIREDAMP_COVERAGE_FD"] = str(self.map.memory.fd)
            os.set_inheritable(self.map.memory.fd, True)

    def one_input(self, data: "ctypes._Pointer[ctypes.c_uint8]", size: int) -> int:
        """libFuzzer's callback. An error of ours must end the life: ctypes would swallow it."""
        try:
            self._run(ctypes.string_at(data, size))
        except BaseException:
            os.write(self.plan.log_fd, b"ERROR: " + traceback.format_exc().encode())
            os._exit(1)
        return 0

    def _run(self, data: bytes) -> None:
        self.monitor.enter(data)
        cause = self._wait(self._spawn(data))
        if cause is not None and self._is_new(cause):
            self._spool(data, cause)
        self.monitor.leave()

    def _spawn(self, data: bytes) -> int:
        argv = self.plan.command
        match self.plan.input:
            case InputMode.STDIN:
                os.ftruncate(self.stdin_fd, 0)
                os.pwrite(self.stdin_fd, data, 0)
                os.lseek(self.stdin_fd, 0, os.SEEK_SET)
            case InputMode.FILE:
                self.input_path.write_bytes(data)
                argv = tuple(word.replace(PLACEHOLDER, str(self.input_path)) for word in argv)
            case InputMode.ARGV:
                argv = tuple(word.replace(PLACEHOLDER, argument(data)) for word in argv)
            case InputMode.BUFFER | InputMode.NONE:
                raise AssertionError(self.plan.input)
            case _:
                assert_never(self.plan.input)
        stdin = [(os.POSIX_SPAWN_DUP2, self.stdin_fd, 0)] if self.plan.input is InputMode.STDIN else []
        quiet = [(os.POSIX_SPAWN_OPEN, 2, os.devnull, os.O_WRONLY, 0)]  # 2 is libFuzzer's log
        return os.posix_spawnp(argv[0], argv, self.environment, file_actions=[*stdin, *quiet], setsid=True)

    def _wait(self, pid: int) -> str | None:
        """The cause of death, or None for a program that ended by itself."""
        cpu_s = int(self.plan.cpu_s) + 1
        with suppress(ProcessLookupError):
            resource.prlimit(pid, resource.RLIMIT_CPU, (cpu_s, cpu_s))
        late = not self._ends_in_time(pid)
        with suppress(ProcessLookupError):  # its whole session, before the number can be given to somebody else
            os.killpg(pid, signal.SIGKILL)
        status = os.waitpid(pid, 0)[1]
        if late:
            return "timeout"
        if os.WIFSIGNALED(status):
            return f"signal-{os.WTERMSIG(status)}"
        if not self.plan.covered:
            self.map.mark(os.WEXITSTATUS(status))  # all that can be seen of a program without coverage
        return None

    def _ends_in_time(self, pid: int) -> bool:
        child_fd = os.pidfd_open(pid)
        try:
            return bool(select.select([child_fd], [], [], self.plan.wall_s)[0])
        finally:
            os.close(child_fd)

    def _is_new(self, cause: str) -> bool:
        """AFL's rule: a death is worth keeping when it reached a place that no death before it had reached."""
        self.deaths[cause] += 1
        if not self.plan.covered:
            return self.deaths[cause] <= ALIKE_LIMIT
        reached = self.map.reached()
        new = self.deaths[cause] == 1 or bool(reached & ~self.deadly)
        self.deadly |= reached
        return new

    def _spool(self, data: bytes, cause: str) -> None:
        """Under its final name only when it is whole: the supervisor may look at any moment."""
        final = Path(self.plan.spool, f"{cause}.{self.monitor.executions}")
        draft = Path(self.plan.spool).parent / "draft"
        draft.write_bytes(data)
        draft.replace(final)
