"""Which C compilers this machine has, and that they work. Compiles nothing of a target: that is build.py.

`$CC` is not asked: a build under test must not depend on what a shell happens to export. `$FIREDAMP_CC` is.
"""

import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec

from firedamp.errors import ToolMissing

ORDER = ("clang", "gcc", "zig")  # clang first: its coverage is the densest
REMEDY = "apt-get install clang (or gcc); without root: pip install ziglang, or firedamp[toolchain]"
PROBE_S = 120.0  # zig builds its C runtime at first use: 20-60 s on two slow cores


@dataclass(frozen=True, slots=True, kw_only=True)
class Compiler:
    """A working compiler driver. `name` is the family: clang | gcc | zig."""

    name: str
    command: tuple[str, ...]
    version: str

    @property
    def cxx_command(self) -> tuple[str, ...] | None:
        """The C++ driver beside it, or None."""
        *launcher, last = self.command
        match self.name:
            case "zig":
                return (*launcher, "c++")
            case "clang":
                candidate = last.replace("clang", "clang++", 1) if "clang++" not in last else last
            case _:
                candidate = re.sub(r"gcc(?!.*gcc)", "g++", last)
        found = shutil.which(candidate)
        return (*launcher, found) if found and found != last else None

    def __str__(self) -> str:
        return f"{self.name} {self.version}"


def find_compilers() -> tuple[Compiler, ...]:
    """Every compiler that really compiles an empty file, best first."""
    return tuple(compiler for name in ORDER if (compiler := _known(name)) is not None)


def choose(name: str | None = None) -> Compiler:
    """The compiler of that name (clang | gcc | zig) or command; by default $FIREDAMP_CC, else the first that works."""
    wanted = name or os.environ.get("FIREDAMP_CC") or None
    if wanted is None:
        for candidate in ORDER:
            if (compiler := _known(candidate)) is not None:
                return compiler
        raise ToolMissing(f"no C compiler works on this machine (tried {', '.join(ORDER)}); {REMEDY}")
    compiler = _known(wanted) if wanted in ORDER else _probe(tuple(shlex.split(wanted)))
    if compiler is None:
        found = ", ".join(map(str, find_compilers())) or "none"
        raise ToolMissing(f"compiler {wanted!r}: does not compile an empty file here (working: {found}); {REMEDY}")
    return compiler


@cache
def _known(name: str) -> Compiler | None:
    if name == "zig":
        return _probe((sys.executable, "-m", "ziglang", "cc")) if find_spec("ziglang") else None
    path = shutil.which(name)
    return _probe((path,)) if path else None


@cache
def _probe(command: tuple[str, ...]) -> Compiler | None:
    if not command:
        return None
    try:
        with tempfile.TemporaryDirectory() as folder:  # zig leaves an object there, whatever -o says
            probe = (*command, "-x", "c", "-c", "-o", "empty.o", "-")
            run = subprocess.run(probe, input=b"", capture_output=True, timeout=PROBE_S, cwd=folder)
        said = _said((*command, "--version"))
        family = _family(command, said)
        version = _version(said) if family != "zig" else _said((*command[:-1], "version")).strip()
    except (OSError, subprocess.TimeoutExpired):
        return None
    if run.returncode != 0:
        return None
    return Compiler(name=family, command=command, version=version)


def _said(command: tuple[str, ...]) -> str:
    return subprocess.run(command, capture_output=True, text=True, timeout=PROBE_S).stdout


def _family(command: tuple[str, ...], said: str) -> str:
    if "ziglang" in command or os.path.basename(command[0]) == "zig":  # noqa: PTH119
        return "zig"
    return "clang" if "clang" in said else "gcc"


def _version(said: str) -> str:
    first = said.partition("\n")[0]
    match = re.search(r"\d+\.\d+(\.\d+)?\S*", re.sub(r"\(.*?\)", "", first))
    return match[0] if match else first.strip()


@cache
def fortify_level(compiler: Compiler) -> int:
    """What `-D_FORTIFY_SOURCE=3` amounts to with this compiler and libc: 3, 2, or 0 (musl has none).

    Asked of features(7) itself, since it depends on glibc (>= 2.34) and on the compiler (gcc >= 12, clang >= 9).
    """
    run = subprocess.run(
        (*compiler.command, "-O1", "-U_FORTIFY_SOURCE", "-D_FORTIFY_SOURCE=3", "-E", "-P", "-x", "c", "-"),
        input="#include <features.h>\nlevel __USE_FORTIFY_LEVEL\n",
        capture_output=True,
        text=True,
        timeout=PROBE_S,
    )
    match = re.search(r"^level (\d+)", run.stdout, re.MULTILINE)
    return int(match[1]) if match else 0
