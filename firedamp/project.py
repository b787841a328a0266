"""The project a command is called in: where its configuration is, and what that says. Quick to import."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from firedamp.target import Target

NAME = "firedamp.toml"
PYPROJECT = "pyproject.toml"


@dataclass(frozen=True, slots=True, kw_only=True)
class Sweep:
    """A named sweep: the command as a Target of kind COMMAND, filters (empty: all), and what else is asked of it."""

    target: Target
    errnos: tuple[str, ...] = ()
    syscalls: tuple[str, ...] = ()
    startup: bool = False
    malloc: bool | None = None
    pairs: bool = False
    recovery: bool = False
    budget_s: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """`path` is None where there is no configuration; `root` is then the folder that was asked about."""

    path: Path | None
    root: Path
    targets: Mapping[str, Target] = field(default_factory=dict)
    sweeps: Mapping[str, Sweep] = field(default_factory=dict)


def find(start: Path) -> Path | None:
    """The nearest configuration at `start` or above it; firedamp.toml wins over pyproject.toml of the same folder."""
    for folder in (start, *start.parents):
        if (folder / NAME).is_file():
            return folder / NAME
        if (folder / PYPROJECT).is_file() and _speaks_of_us((folder / PYPROJECT).read_bytes()):
            return folder / PYPROJECT
    return None


def _speaks_of_us(pyproject: bytes) -> bool:
    return b"[tool.firedamp" in pyproject
