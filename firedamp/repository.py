"""Revisions of a git repository and their files, for whoever wants to build and run an earlier one.

Reads the user's repository; its checkout, index, branches and configuration are never touched, since git gets an index
file of ours and a folder of ours to write files to.
"""

import os
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

from firedamp.errors import ToolMissing, UsageError

SHORT = 12  # digits of a commit's name that are shown
FIELDS = "%H%x00%an%x00%aI%x00%s"  # git-log(1), PRETTY FORMATS
# A hook of the user's must not run because of us; nor may variables of a `git` above us name another repository.
PLAIN = ("-c", "core.hooksPath=/dev/null", "-c", "advice.detachedHead=false")
OF_GIT = ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_PREFIX", "GIT_OBJECT_DIRECTORY", "GIT_COMMON_DIR")


@dataclass(frozen=True, slots=True, kw_only=True)
class Commit:
    name: str  # 40 hexadecimal digits
    author: str
    date: str  # ISO 8601
    subject: str

    @property
    def short(self) -> str:
        return self.name[:SHORT]


@dataclass(frozen=True, slots=True, kw_only=True)
class Repository:
    """Of the repository whose checkout is `top`."""

    top: Path

    @classmethod
    def around(cls, folder: Path) -> "Repository":
        """UsageError: `folder` lies in no git repository."""
        run = _git(folder, "rev-parse", "--show-toplevel")
        if run.returncode != 0:
            raise UsageError(f"{folder}: lies in no git repository ({_last_line(run)}); only a history can be bisected")
        return cls(top=Path(run.stdout.decode("utf-8", "surrogateescape").rstrip("\n")))

    def commit(self, revision: str) -> Commit:
        """UsageError: there is no such revision."""
        run = _git(self.top, "rev-parse", "--verify", "--quiet", "--end-of-options", f"{revision}^{{commit}}")
        if run.returncode != 0:
            raise UsageError(f"{revision!r}: is no commit of {self.top}; `git log --oneline` lists them")
        (found,) = self._log("--no-walk", run.stdout.decode().strip())
        return found

    def line(self, newest: Commit, oldest: Commit | None = None) -> tuple[Commit, ...]:
        """From the oldest to the newest, both included, along first parents: what the main line had, one by one.

        UsageError: `oldest` is no ancestor of `newest` along that line.
        """
        commits = tuple(reversed(self._log("--first-parent", newest.name)))
        if oldest is None:
            return commits
        names = [commit.name for commit in commits]
        if oldest.name not in names:
            raise UsageError(
                f"{oldest.short}: is not on the line of first parents that leads to {newest.short}; name a commit "
                f"that `git log --first-parent {newest.short}` lists"
            )
        return commits[names.index(oldest.name) :]

    def write(self, commit: Commit, folder: Path) -> None:
        """The files of a commit into `folder`, which is made. EnvironmentFailure's kin: git cannot."""
        folder.mkdir(parents=True)
        with tempfile.TemporaryDirectory(prefix="firedamp-index-") as scratch:
            index = {"GIT_INDEX_FILE": str(Path(scratch, "index"))}
            for words in (("read-tree", commit.name), ("checkout-index", "--all", "--force", "--quiet")):
                run = _git(self.top, f"--work-tree={folder}", *words, environment=index)
                if run.returncode != 0:
                    raise UsageError(f"{commit.short}: git {words[0]} cannot write its files: {_last_line(run)}")

    def _log(self, *words: str) -> tuple[Commit, ...]:
        run = _git(self.top, "log", f"--format={FIELDS}", *words, "--")
        if run.returncode != 0:
            raise UsageError(f"{self.top}: git log failed: {_last_line(run)}")
        rows = (line.split("\0") for line in run.stdout.decode("utf-8", "replace").splitlines())
        return tuple(Commit(name=name, author=author, date=date, subject=said) for name, author, date, said in rows)


def _git(folder: Path, *words: str, environment: dict[str, str] | None = None) -> subprocess.CompletedProcess[bytes]:
    inherited = {name: value for name, value in os.environ.items() if name not in OF_GIT}
    try:
        return subprocess.run(
            ("git", *PLAIN, *words),
            cwd=folder,
            env={**inherited, "LC_ALL": "C", "GIT_OPTIONAL_LOCKS": "0", **(environment or {})},
            stdin=subprocess.DEVNULL,
            capture_output=True,
        )
    except FileNotFoundError:
        raise ToolMissing("git is not installed; apt-get install git") from None


def _last_line(run: subprocess.CompletedProcess[bytes]) -> str:
    lines = run.stderr.decode("utf-8", "replace").strip().splitlines()
    return lines[-1] if lines else f"status {run.returncode}"
