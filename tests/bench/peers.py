"""The peers of head_to_head.py: a strace loop and libfiu's fiu-run over one program, and the judge that both are given.

Neither knows a kind or a place, so the judge is content with any run that dies of a signal, hangs, or ends with the
clean run's status 0 and another stdout or other files. What they try stands in peers.toml, the same for each program.
"""

import contextlib
import hashlib
import os
import shutil
import signal
import subprocess
import tempfile
import time
import tomllib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

HERE = Path(__file__).parent
TRIED = tomllib.loads((HERE / "peers.toml").read_text())
MOST_NTH = 200  # no program of the suite makes so many calls of one name


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One binary and the folder that each of its runs starts from."""

    binary: Path
    folder: Path
    stdin: str = ""  # a file of the folder


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    budget_s: float
    timeout_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Heard:
    """What one peer's runs of one binary came to: a sign is a fault and what became of it."""

    signs: frozenset[str]
    runs: int
    whole: bool  # the budget was enough


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    status: int | None  # None: it was killed when its time was over
    stdout: bytes
    files: dict[str, str]  # path -> digest of what it holds


def run(case: Case, prefix: list[str], timeout_s: float) -> Ended:
    """In a copy of the folder; whatever is left of the run's processes is killed."""
    with tempfile.TemporaryDirectory(prefix="head-") as name, tempfile.TemporaryFile() as stdout:
        folder = Path(name) / "folder"
        shutil.copytree(case.folder, folder)
        with open(folder / case.stdin if case.stdin else os.devnull, "rb") as stdin:
            process = subprocess.Popen(
                [*prefix, case.binary],
                cwd=folder,
                stdin=stdin,
                stdout=stdout,
                stderr=subprocess.DEVNULL,
                start_new_session=True,
            )
        try:
            status = process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            status = None
        finally:
            _kill_group(process)
        stdout.seek(0)
        return Ended(status=status, stdout=stdout.read(), files=_digests(folder))


def _kill_group(process: subprocess.Popen[bytes]) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def _digests(folder: Path) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): hashlib.sha1(path.read_bytes()).hexdigest() if path.is_file() else "-"
        for path in folder.rglob("*")
    }


class Judge:
    """The peers': knows the clean run, and which files differ from one clean run to the next."""

    def __init__(self, case: Case, timeout_s: float) -> None:
        self.clean = run(case, [], timeout_s)
        second = run(case, [], timeout_s)
        assert self.clean.status == 0, f"{case.binary}: {self.clean.status} without a fault"
        self.volatile = {name for name, digest in self.clean.files.items() if second.files.get(name) != digest}

    def misbehaviour(self, ended: Ended) -> str | None:
        if ended.status is None:
            return "hangs"
        if ended.status < 0 or ended.status > 128:  # of a shell between: 128 + signal
            return "dies of a signal"
        if ended.status != 0:
            return None
        if ended.stdout != self.clean.stdout:
            return "exit 0, other stdout"
        return None if self._files(ended) == self._files(self.clean) else "exit 0, other files"

    def _files(self, ended: Ended) -> dict[str, str]:
        return {name: "" if name in self.volatile else digest for name, digest in ended.files.items()}


def strace(case: Case, limits: Limits, syscalls: Sequence[str] = TRIED["strace"]["syscalls"]) -> Heard:
    with tempfile.TemporaryDirectory(prefix="head-") as name:
        return _judged(case, limits, _strace_loop(case, limits.timeout_s, syscalls, Path(name) / "log"))


def _strace_loop(case: Case, timeout_s: float, syscalls: Sequence[str], log: Path) -> Iterator[tuple[str, Ended]]:
    for syscall in syscalls:
        for error in TRIED["strace"]["errnos"]:
            attempt = partial(_strace, case, timeout_s, syscall, error, log)
            for nth in range(1, MOST_NTH):
                yield f"{syscall} {error} {nth}", attempt(str(nth))
                if "INJECTED" not in log.read_text(errors="replace"):
                    break
            if nth == 1:  # the program does not make this call: no other errno would fire
                break
            if error in TRIED["strace"]["lasting"]:
                yield f"{syscall} {error} 1+", attempt("1+")


def _strace(case: Case, timeout_s: float, syscall: str, error: str, log: Path, when: str) -> Ended:
    inject = ["-e", f"trace={syscall}", "-e", f"inject={syscall}:error={error}:when={when}"]
    return run(case, ["strace", "-f", "-qq", "-o", str(log), *inject], timeout_s)


def fiu(case: Case, limits: Limits) -> Heard:
    """Its chance has no seed: a second table may differ by a row."""
    return _judged(case, limits, _fiu_loop(case, limits.timeout_s))


def _fiu_loop(case: Case, timeout_s: float) -> Iterator[tuple[str, Ended]]:
    tried = TRIED["fiu"]
    always = [f"enable name={point}" for point in tried["points"]]
    by_chance = [
        f"enable_random name={group},probability={chance}"
        for group in tried["groups"]
        for chance in tried["probabilities"]
    ]
    for command in (*always, *by_chance * tried["tries"]):
        yield command, run(case, ["fiu-run", "-x", "-f", "", "-c", command], timeout_s)


def _judged(case: Case, limits: Limits, attempts: Iterator[tuple[str, Ended]]) -> Heard:
    started = time.monotonic()
    judge = Judge(case, limits.timeout_s)
    signs, runs, whole = set(), 0, True
    for fault, ended in attempts:
        runs += 1
        if (verdict := judge.misbehaviour(ended)) is not None:
            signs.add(f"{fault}: {verdict}")
        if time.monotonic() - started > limits.budget_s:
            whole = False
            break
    return Heard(signs=frozenset(signs), runs=runs, whole=whole)
