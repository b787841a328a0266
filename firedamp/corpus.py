"""What a person keeps under corpora/<target>/: seeds and regressions. Data only; nothing is run here.

The living corpus of a target lies in results/<target>/corpus and belongs to the fuzzing engine.
"""

import re
from collections.abc import Iterator
from pathlib import Path

from firedamp.errors import UsageError
from firedamp.target import CORPORA

SEEDS = "seeds"
REGRESSIONS = "regressions"
NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._+-]*")


def seeds_folder(root: Path, target: str) -> Path:
    return root / CORPORA / target / SEEDS


def regressions_folder(root: Path, target: str) -> Path:
    return root / CORPORA / target / REGRESSIONS


def regressions(root: Path) -> tuple[Path, ...]:
    """The payload of each regression of all targets, by target and name."""
    facts = sorted((root / CORPORA).glob(f"*/{REGRESSIONS}/*.toml"))
    return tuple(path.with_suffix("") for path in facts)


def check_name(name: str) -> str:
    """A regression's name is a file's name: UsageError for what is none, or ends like the facts beside it."""
    if not NAME.fullmatch(name) or name.endswith(".toml"):
        raise UsageError(f"name {name!r}: use letters, digits, '.', '_', '+' and '-', and no .toml at the end")
    return name


def input_files(path: Path) -> Iterator[Path]:
    """A file itself, or the regular files beneath a folder in a stable order; UsageError where there is neither."""
    if path.is_file():
        yield path
    elif path.is_dir():
        yield from sorted(each for each in path.rglob("*") if each.is_file() and not each.name.startswith("."))
    else:
        raise UsageError(f"{path}: there is no such file or folder")
