"""A system call at its entry stop, as an Interceptor sees it: protocol.Call, each answer computed once."""

import os
from collections.abc import Callable

from firedamp.outcome import Frame
from firedamp.trace import ptrace
from firedamp.trace.names import name_of
from firedamp.trace.ptrace import Registers

Stacks = Callable[[int, int, Registers], tuple[Frame, ...]]  # (process, thread, registers)


def thread_group(tid: int) -> int:
    """The process that thread `tid` belongs to; `tid` itself when it is gone."""
    for line in _lines(f"/proc/{tid}/status"):
        if line.startswith("Tgid:"):
            return int(line[5:])
    return tid


def caught_signals(tid: int) -> int:
    """The bit mask SigCgt: bit n-1 is set when the process has a handler for signal n."""
    return _signal_mask(tid, "SigCgt:")


def ends_by(tid: int, number: int) -> bool:
    """Is the signal neither handled nor ignored? A traced process is stopped for ignored ones, too."""
    return not (_signal_mask(tid, "SigCgt:") | _signal_mask(tid, "SigIgn:")) >> (number - 1) & 1


def _signal_mask(tid: int, name: str) -> int:
    for line in _lines(f"/proc/{tid}/status"):
        if line.startswith(name):
            return int(line.removeprefix(name), 16)
    return 0


def _lines(path: str) -> list[str]:
    try:
        with open(path, errors="surrogateescape") as file:
            return file.readlines()
    except OSError:
        return []


def _link(path: str) -> str | None:
    try:
        return os.readlink(path)  # noqa: PTH115 - half the price of Path.readlink, at every stop
    except OSError:
        return None


class StoppedCall:
    """Valid until its thread runs on, except for what was already asked."""

    __slots__ = ("_name", "_process", "_registers", "_stack", "_stacks", "number", "tid")

    def __init__(self, tid: int, number: int, process: Callable[[], int], stacks: Stacks) -> None:
        self.tid = tid
        self.number = number
        self._process = process
        self._stacks = stacks
        self._registers: Registers | None = None
        self._stack: tuple[Frame, ...] | None = None

    @property
    def name(self) -> str:
        return name_of(self.number)

    @property
    def pid(self) -> int:
        return self._process()

    @property
    def registers(self) -> Registers:
        if self._registers is None:
            self._registers = Registers(self.tid)
        return self._registers

    @property
    def arguments(self) -> tuple[int, int, int, int, int, int]:
        return self.registers.arguments

    def string(self, address: int, limit: int = 4096) -> bytes:
        return ptrace.read_string(self.tid, address, limit)

    def memory(self, address: int, size: int) -> bytes:
        return ptrace.read_memory(self.tid, address, size)

    def poke(self, address: int, data: bytes) -> int:
        return ptrace.write_memory(self.tid, address, data)

    def descriptor_path(self, fd: int) -> str | None:
        return _link(f"/proc/{self.tid}/fd/{fd}")

    def descriptor_flags(self, fd: int) -> int:
        for line in _lines(f"/proc/{self.tid}/fdinfo/{fd}"):
            if line.startswith("flags:"):
                return int(line[6:], 8)
        return 0

    def folder(self) -> str:
        return _link(f"/proc/{self.tid}/cwd") or ""

    def program(self) -> str:
        return _link(f"/proc/{self.tid}/exe") or ""

    def caught_signals(self) -> int:
        return caught_signals(self.tid)

    def thread_pointer(self) -> int:
        return self.registers.named("fs_base")

    def stack(self) -> tuple[Frame, ...]:
        if self._stack is None:
            self._stack = self._stacks(self.pid, self.tid, self.registers)
        return self._stack
