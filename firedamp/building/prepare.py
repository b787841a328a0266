"""A private copy of a project in which its own `prepare` commands (configure, code generators) ran once."""

import fcntl
import hashlib
import os
import shlex
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path

from firedamp.errors import BuildError
from firedamp.records import holds_results
from firedamp.target import CORPORA

FLAGS = ("FIREDAMP_CFLAGS",)
LEFT_OUT = frozenset({"results", ".git", ".venv"})
OURS = frozenset({"firedamp.toml", CORPORA})  # in the project's own folder: a new seed is no reason to build again


def prepared(root: Path, commands: tuple[str, ...], environment: Mapping[str, str], cache: Path) -> Path:
    """The copy, made and prepared at most once per content of `root`, commands and environment.

    Commands run by `sh -e` in the copy. The place is stable, since configure scripts write absolute paths.
    """
    key = hashlib.sha256(repr((commands, sorted(environment.items()), str(root))).encode())
    for path in _files(root, cache):
        key.update(os.fsencode(path.relative_to(root)) + b"\0" + _content(path))
    home = cache / "prepared" / key.hexdigest()[:32]
    home.mkdir(parents=True, exist_ok=True)
    tree, done = home / "tree", home / "done"
    with (home / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not done.exists():
            shutil.rmtree(tree, ignore_errors=True)
            _copy(root, tree, cache)
            _run(commands, tree, _mapped(environment, tree, root))
            done.touch()
    return tree


def _mapped(environment: Mapping[str, str], tree: Path, root: Path) -> dict[str, str]:
    """Debug information of what is compiled here names the user's own files."""
    option = shlex.quote(f"-fdebug-prefix-map={tree}={root}")
    return {name: f"{value} {option}" if name in FLAGS else value for name, value in environment.items()}


def _run(commands: tuple[str, ...], tree: Path, environment: Mapping[str, str]) -> None:
    for command in commands:
        run = subprocess.run(
            ("sh", "-e", "-c", command),
            cwd=tree,
            env={**os.environ, **environment},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
        )
        if run.returncode != 0:
            last = "\n".join(run.stdout.splitlines()[-12:])
            raise BuildError(
                f"prepare: {command!r} left with status {run.returncode} in {tree}:\n{last}\n"
                "it runs by `sh -e` in a copy of the project; CC is firedamp-cc, which brings the flags of the build"
            )


def _copy(root: Path, tree: Path, cache: Path) -> None:
    def left_out(folder: str, entries: list[str]) -> list[str]:
        return [entry for entry in entries if _is_left_out(root, Path(folder, entry), cache)]

    shutil.copytree(root, tree, symlinks=True, ignore=left_out)


def _files(root: Path, cache: Path) -> Iterator[Path]:
    for folder, folders, files in os.walk(root):
        folders[:] = sorted(name for name in folders if not _is_left_out(root, Path(folder, name), cache))
        yield from (path for name in sorted(files) if not _is_left_out(root, path := Path(folder, name), cache))


def _is_left_out(root: Path, path: Path, cache: Path) -> bool:
    ours = path.name in OURS and path.parent == root
    return path.name in LEFT_OUT or path == cache or ours or holds_results(path)


def _content(path: Path) -> bytes:
    if path.is_symlink():
        return os.fsencode(path.readlink())
    if not path.is_file():
        return b""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").digest() + str(path.stat().st_mode & 0o111).encode()
