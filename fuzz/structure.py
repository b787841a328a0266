"""Structure-aware mutators in Python: the user's function or Hypothesis strategy, asked for one mutation in so many.

What it costs is measured where it is spent, and kept in a file that the supervisor reads; what goes wrong in it is the
user's, who is told so.
"""

import ctypes
import importlib
import os
import subprocess
import sys
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

from firedamp.errors import UsageError

CALLBACK = ctypes.CFUNCTYPE(
    ctypes.c_size_t, ctypes.POINTER(ctypes.c_uint8), ctypes.c_size_t, ctypes.c_size_t, ctypes.c_uint
)
COST, ERROR = "mutator-cost", "mutator-error"  # files in the worker's private folder
TOLD_EVERY_S = 0.2
CHOICES_BYTES = 1024  # random ones that a strategy may use up for one value

Function = Callable[[bytes, int, int], bytes]  # data, max_size, seed -> other data


def load_function(name: str, root: str) -> Function:
    """`package.module:function(data: bytes, max_size: int, seed: int) -> bytes`."""
    function: Function = _load(name, root)
    return function


def load_strategy(name: str, root: str) -> Function:
    """`package.module:strategy`, a Hypothesis strategy of bytes or str; each mutation is a new value of it."""
    from hypothesis import HealthCheck, given, settings

    drawn: list[Any] = []

    @settings(database=None, deadline=None, suppress_health_check=list(HealthCheck))
    @given(_load(name, root))
    def keep(value: Any) -> None:
        drawn.append(value)

    def draw(data: bytes, max_size: int, seed: int) -> bytes:
        drawn.clear()
        keep.hypothesis.fuzz_one_input(Random(seed).randbytes(CHOICES_BYTES))
        value = drawn[-1] if drawn else b""
        return value.encode() if isinstance(value, str) else value

    return draw


def _load(name: str, root: str) -> Any:
    sys.path.insert(0, root)
    module, _, path = name.partition(":")
    return getattr(importlib.import_module(module), path)


def check(name: str, root: Path) -> None:
    """Raise UsageError where it cannot be imported: in a process of its own, since ours is to stay clean of it."""
    words = ("import sys; from fuzz.structure import _load; _load(*sys.argv[1:])", name, str(root))
    run = subprocess.run([sys.executable, "-P", "-c", *words], capture_output=True, text=True, errors="replace")
    if run.returncode != 0:
        raise UsageError(f"mutator {name!r}: cannot be imported; correct it:\n{run.stderr.rstrip()}")


@dataclass(slots=True, kw_only=True)
class Structure:
    """The callback of libFuzzer's mutations. An answer that is empty or too long leaves the turn to libFuzzer."""

    function: Function
    folder: Path
    started: float = field(default_factory=time.monotonic)
    told: float = 0.0
    spent_s: float = 0.0
    calls: int = 0

    def mutate(self, data: "ctypes._Pointer[ctypes.c_uint8]", size: int, room: int, seed: int) -> int:
        began = time.monotonic()
        if not self.calls:
            self.started = began
        try:
            made = self.function(ctypes.string_at(data, size), room, seed)
            if not isinstance(made, bytes):
                raise TypeError(f"returned {type(made).__name__}; bytes are needed")
        except BaseException:  # ctypes would swallow it
            (self.folder / ERROR).write_text(traceback.format_exc())
            os._exit(1)
        if len(made) > room:
            made = b""
        ctypes.memmove(data, made, len(made))
        self._count(began, time.monotonic())
        return len(made)

    def _count(self, began: float, now: float) -> None:
        self.calls += 1
        self.spent_s += now - began
        if now - self.told >= TOLD_EVERY_S:
            self.told = now
            (self.folder / COST).write_text(f"{self.calls} {self.spent_s:.6f} {now - self.started:.6f}")


def check_error(folder: Path, name: str | None) -> None:
    """Raise UsageError with what the mutator died of."""
    path = folder / ERROR
    if name is not None and path.exists():
        raise UsageError(f"mutator {name!r}: failed; correct it:\n{path.read_text().rstrip()}")


def cost(folder: Path, name: str | None) -> str | None:
    """In words, or None where none was asked."""
    try:
        calls, spent_s, lived_s = map(float, (folder / COST).read_text().split())
    except (OSError, ValueError):
        return None
    if lived_s < TOLD_EVERY_S:
        return f"mutator {name}: was asked; the search ended too soon to say what that costs"
    left = max(0.0, 1 - spent_s / lived_s)
    return f"mutator {name}: {calls:,.0f} mutations; executions/s were {left:.2f} of what they are without it"
