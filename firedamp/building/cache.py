"""Builds kept by content: which folder holds what the same recipe made before. Compiles nothing: that is build.py.

A recipe's key is known before compiling, its headers only after: the headers of the last build are noted beside it.
"""

import hashlib
import json
import os
import threading
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

FACTS = "build.json"  # written last: a folder that has it is whole


@dataclass(frozen=True, slots=True, kw_only=True)
class BuildCache:
    folder: Path

    def find(self, key: str) -> Path | None:
        """The finished folder, when the headers of the last build are as they were."""
        try:
            headers = json.loads(self._note(key).read_text())
        except (OSError, ValueError):
            return None
        folder = self._place(key, headers)
        return folder if (folder / FACTS).exists() else None

    def publish(self, key: str, work: Path, headers: list[str]) -> Path:
        """Renames the finished `work`: a reader never sees a half build."""
        folder = self._place(key, headers)
        work.chmod(0o755)  # mkdtemp made it ours alone
        try:
            work.rename(folder)
        except OSError:
            if not (folder / FACTS).exists():  # else another process was first, with the same result
                raise
        note = self._note(key)
        note.parent.mkdir(exist_ok=True)
        draft = scratch(note)
        draft.write_text(json.dumps(headers))
        draft.replace(note)
        return folder

    def _note(self, key: str) -> Path:
        return self.folder / "headers" / f"{key}.json"

    def _place(self, key: str, headers: Iterable[str]) -> Path:
        return self.folder / digest((key, *(f"{path} {file_digest(Path(path))}" for path in sorted(headers))))


def linked_files(ldflags: tuple[str, ...], tree: Path) -> list[Path]:
    """The objects and archives that the link flags name, and -lNAME in the -L folders given: their content counts."""
    folders = [tree / flag[2:] for flag in ldflags if flag.startswith("-L")]
    files = [tree / flag for flag in ldflags if not flag.startswith("-")]
    for flag in ldflags:
        if flag.startswith("-l"):
            files += [folder / f"lib{flag[2:]}{suffix}" for folder in folders for suffix in (".so", ".a")]
    return [path for path in files if path.is_file()]


def dependencies(depfile: Path, tree: Path) -> list[str]:
    """Absolute names from a Makefile rule as -MMD writes it; blanks in names are escaped by a backslash."""
    if not depfile.exists():  # an assembler source
        return []
    rule = depfile.read_text(errors="surrogateescape").replace("\\\n", " ").partition(": ")[2].partition("\n")[0]
    return [str(tree / name.replace("\0", " ").replace("$$", "$")) for name in rule.replace("\\ ", "\0").split()]


def find_user_cache(environment: Mapping[str, str]) -> Path | None:
    """firedamp's folder among the user's caches (XDG Base Directory Specification); None for a user without a home."""
    caches = environment.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")  # noqa: PTH111 (pathlib's raises)
    folder = Path(caches, "firedamp")
    return folder if folder.is_absolute() else None


def scratch(path: Path) -> Path:
    """Where `path` is written before it is renamed: beside it, and of this thread alone."""
    return path.with_name(f".{os.getpid()}-{threading.get_ident()}-{path.name}")


def file_digest(path: Path) -> str:
    try:
        with path.open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()
    except OSError:
        return "absent"


def digest(parts: Iterable[str]) -> str:
    return hashlib.sha256("\0".join(parts).encode("utf-8", "surrogateescape")).hexdigest()[:32]
