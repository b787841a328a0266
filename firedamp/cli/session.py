"""What a command works with: the project's configuration, its results folder, and how targets come from words."""

import os
import re
import shutil
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from firedamp.errors import UsageError
from firedamp.project import Config, Sweep, find
from firedamp.records import NAME as DATABASE
from firedamp.report.printable import printable
from firedamp.store import Store
from firedamp.suggestion import did_you_mean
from firedamp.target import MEBIBYTE, Build, InputMode, Limits, Profile, Target, TargetKind

if TYPE_CHECKING:
    from firedamp.seed_options import Beside

# Of a command that the user runs in earnest, as strace would let it run: a day, and a tebibyte.
UNLIMITED = Limits(wall_s=86_400.0, cpu_s=86_400.0, memory_bytes=1 << 40, output_bytes=1 << 40)


@dataclass(frozen=True, slots=True, kw_only=True)
class Compilation:
    """How a target is to be compiled. `compiler`: None for the first that is found."""

    profile: Profile = Profile.HARDENED
    compiler: str | None = None
    unguarded: bool = False  # go on where no guard could fire in the binary


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """`root` is the project's folder: of the configuration that holds here, or that lies above the results."""

    config: Config
    results: Path
    root: Path

    @classmethod
    def open(cls, results: Path | None) -> Self:
        config = search(Path.cwd())
        folder = Path(os.path.normpath((results or config.root / "results").absolute()))
        above = find(folder) if config.path is None else config.path
        return cls(config=config, results=folder, root=above.parent if above is not None else config.root)

    def store(self) -> Store:
        return Store(self.results / DATABASE)

    def target(self, name: str) -> Target:
        target = self.config.targets.get(name)
        if target is None:
            raise UsageError(f"target {name!r}: {self._unknown(name, 'targets', tuple(self.config.targets))}")
        return target if target.seeds is None else self.beside(target).target

    def beside(self, target: Target) -> "Beside":
        """With what lies beside its seeds, as OSS-Fuzz has it."""
        from firedamp.seed_options import honour

        return honour(target)

    def sweep(self, name: str) -> Sweep:
        sweep = self.config.sweeps.get(name)
        if sweep is None:
            words = self._unknown(name, "sweeps", tuple(self.config.sweeps))
            raise UsageError(f"sweep {name!r}: {words}; to sweep a command, write -- before it")
        return sweep

    def _unknown(self, name: str, table: str, names: tuple[str, ...]) -> str:
        if self.config.path is None:
            return "there is no firedamp.toml here or above; `firedamp init` writes one"
        if not names:
            return f"{self.config.path.name} has no {table}; add [{table}.{name}]"
        return f"is not in {self.config.path.name}{did_you_mean(name, names)} ({table}: {', '.join(sorted(names))})"

    def build(self, target: Target, compilation: Compilation) -> Build | None:
        """None where there is nothing to compile or to prove: sweeps, installed commands, Python harnesses."""
        if target.kind in (TargetKind.COMMAND, TargetKind.PYTHON):
            return None
        from firedamp.building.build import build

        return build(
            target,
            compilation.profile,
            compiler=compilation.compiler,
            cache=self.results / ".cache" / "builds",
            progress=say,
            allow_unguarded=compilation.unguarded,
        )


def search(start: Path) -> Config:
    """The configuration that holds for `start`, an empty one where there is none. ConfigError: all its mistakes."""
    path = find(start.absolute())
    if path is None:
        return Config(path=None, root=start.absolute())
    from firedamp.config import load  # pydantic costs 0.2 s, and most calls of `inject` have no configuration

    return load(path)


def say(message: str) -> None:
    """One message on stderr."""
    print(f"firedamp: {printable(message)}", file=sys.stderr, flush=True)


def command_target(
    words: tuple[str, ...],
    *,
    workdir: Path | None = None,
    setup: str | None = None,
    check: str | None = None,
    stdin: str | None = None,
    stdout: str | None = None,
    stderr: str | None = None,
    timeout: float | None = None,
    memory: int | None = None,
) -> Target:
    """A command line as a target of its own. UsageError where there is no such program."""
    if not words:
        raise UsageError("no command: write it behind --, as in `-- cp a b`")
    folder = (workdir or Path.cwd()).absolute()
    if "/" not in words[0] and shutil.which(words[0]) is None:
        raise UsageError(f"{words[0]!r}: no such program in PATH; check the spelling, or write its path")
    if "/" in words[0] and not os.access(folder / words[0], os.X_OK):
        raise UsageError(f"{words[0]!r}: is no program in {folder}; check the path and its x permission")
    return Target(
        name=re.sub(r"[^A-Za-z0-9._+-]", "_", Path(words[0]).name) or "command",
        kind=TargetKind.COMMAND,
        root=folder,
        command=words,
        input=InputMode.NONE,
        limits=bounded(Limits(), timeout, memory),
        setup=setup,
        check=check,
        stdin=stdin,
        stdout=stdout,
        stderr=stderr,
    )


def bounded(limits: Limits, timeout: float | None, memory: int | None) -> Limits:
    """With what the command line says; timeout in seconds, memory in MiB."""
    if timeout is not None:
        limits = replace(limits, wall_s=timeout, cpu_s=timeout)
    return limits if memory is None else replace(limits, memory_bytes=memory * MEBIBYTE)


def overridden(
    target: Target, *, timeout: float | None = None, memory: int | None = None, **facts: str | Path | None
) -> Target:
    """What the command line says wins over firedamp.toml."""
    given: dict[str, Any] = {name: value for name, value in facts.items() if value is not None}
    if "workdir" in given:
        given["workdir"] = given["workdir"].absolute()
    return replace(target, limits=bounded(target.limits, timeout, memory), **given)
