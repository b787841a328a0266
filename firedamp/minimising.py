"""A living corpus made smaller: what adds nothing is laid aside, what ends the process is put into quarantine.

Nothing is deleted, and the user's seeds are not looked at: they count again whenever a search begins.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from firedamp import engine
from firedamp.cover import Gauge, cover
from firedamp.plural import counted
from firedamp.target import Build, Target

SPARE = "spare"
QUARANTINE = "quarantine"


@dataclass(frozen=True, slots=True, kw_only=True)
class Minimised:
    """How many inputs, and the features that they reach together, as before."""

    kept: int = 0
    spare: int = 0
    quarantined: int = 0
    features: int = 0
    interrupted: bool = False

    @property
    def words(self) -> str:
        if self.interrupted:
            return "interrupted; nothing was moved"
        crashed = f", {self.quarantined} that end the process in {QUARANTINE}/" if self.quarantined else ""
        kept = f"{counted(self.kept, 'input')} for all of {counted(self.features, 'feature')}"
        return f"{kept}; {self.spare} to spare in {SPARE}/{crashed}"


def minimise(
    target: Target, build: Build | None, folder: Path, *, stopping: Callable[[], bool] = lambda: False
) -> Minimised:
    """`folder` is results/TARGET. All or nothing: an interrupted one moves no file."""
    paths = tuple(sorted(path for path in (folder / "corpus").glob("*") if path.is_file()))
    if not paths:
        return Minimised()
    gauge = cast(Gauge, engine.load("fuzz"))
    measured = gauge.measure(target, build, paths, stopping)
    if stopping() or len(measured) < len(paths):
        return Minimised(interrupted=True)
    dead = [each.path for each in measured if not each.survived]
    kept = cover(measured)
    spare = [each.path for each in measured if each.survived and each.path not in kept]
    _move(dead, folder / QUARANTINE)
    _move(spare, folder / SPARE)
    together = 0
    for each in measured:
        together |= each.features
    return Minimised(kept=len(kept), spare=len(spare), quarantined=len(dead), features=together.bit_count())


def _move(paths: list[Path], folder: Path) -> None:
    if paths:
        folder.mkdir(exist_ok=True)
    for path in paths:
        path.replace(folder / path.name)
