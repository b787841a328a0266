"""How many conditions on the input are met in time by native libFuzzer, AFL++ with cmplog, and firedamp.

    python tests/bench/comparisons.py [--seconds 120] [--only NAME ...] [--cores 0,1] [--seed 1]

Each CONSTRAINT of comparisons/constraints.c is a target of its own that aborts when it holds; solutions.toml proves
that it can. The three take turns at one constraint on one core, each from the same single seed with the same flags, and
stop at the first abort; several cores work on several constraints. A time is wall time from the start of the command:
firedamp's includes its start-up and the confirmation in fresh processes, without which nothing counts.
--seconds 10 is a quick form (about a quarter of an hour at the worst on two cores).
Writes results/bench/comparisons.md and .json (with other seconds than 120: comparisons-10s), after each constraint.
"""

import argparse
import json
import os
import platform
import queue
import re
import signal
import subprocess
import sys
import tempfile
import time
import tomllib
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import asdict, dataclass
from pathlib import Path

import fuzzers

from firedamp.building.toolchain import Compiler, choose
from firedamp.target import Target, TargetKind

HERE = Path(__file__).parent
PROJECT = HERE.parent.parent
SUITE = HERE / "comparisons"
SOURCE = "constraints.c"
FIREDAMP = (sys.executable, "-m", "firedamp")
TOOLS = ("libFuzzer", "AFL++ cmplog", "firedamp")
SECONDS = 120
MAX_LEN = 128  # constraints.c: MOST
SEED = b"0123456789abcdefghijklmnopqrstuv"  # one input, in which each byte is another one
SECTION = re.compile(r"^/\* (.*) \*/$|^CONSTRAINT\((\w+)\)", re.MULTILINE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Constraint:
    name: str
    group: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    constraint: Constraint
    solved_s: dict[str, float | None]  # tool -> after how long; None: not in time


def constraints() -> list[Constraint]:
    """In the order of the source, by its headings of one line."""
    found, group = [], ""
    for heading, name in SECTION.findall((SUITE / SOURCE).read_text()):
        group = heading or group
        if name:
            found.append(Constraint(name=name, group=group))
    return found


def target(constraint: Constraint) -> Target:
    flags = (f"-DCASE={constraint.name}",)
    return Target(name=constraint.name, kind=TargetKind.HARNESS, root=SUITE, sources=(SOURCE,), cflags=flags)


def prove(constraint: Constraint, program: Path, work: Path, seed: Path) -> None:
    """The known solution aborts, the seed does not."""
    solution = work / "solution"
    solution.write_bytes(bytes.fromhex(tomllib.loads((SUITE / "solutions.toml").read_text())[constraint.name]))
    for path, aborts in ((solution, True), (seed, False)):
        run = subprocess.run([program, path], capture_output=True, cwd=work)
        assert (run.returncode != 0) is aborts, f"{constraint.name}: {path.name} {'does not abort' * aborts}"


class Contest:
    """One constraint on one core."""

    def __init__(self, constraint: Constraint, compiler: Compiler, core: int, options: argparse.Namespace) -> None:
        self.constraint, self.compiler, self.core = constraint, compiler, core
        self.seconds, self.seed = options.seconds, options.seed
        self.folder = tempfile.TemporaryDirectory(prefix="firedamp-bench-")
        self.work = Path(self.folder.name)
        self.seeds = self.work / "seeds"
        self.seeds.mkdir()
        (self.seeds / "digits").write_bytes(SEED)

    def run(self) -> Row:
        with self.folder:
            it = target(self.constraint)
            native = fuzzers.native(it, self.compiler, self.work)
            prove(self.constraint, native, self.work, self.seeds / "digits")
            solved = (
                self.native(native),
                self.afl(fuzzers.afl(it, self.compiler, self.work, cmplog=True)),
                self.firedamp(),
            )
        return Row(constraint=self.constraint, solved_s=dict(zip(TOOLS, solved, strict=True)))

    def native(self, program: Path) -> float | None:
        corpus = self.work / "corpus"
        corpus.mkdir()
        limits = (f"-max_total_time={self.seconds}", f"-seed={self.seed}", f"-max_len={MAX_LEN}", "-detect_leaks=0")
        took_s = self._timed([program, *limits, f"-artifact_prefix={self.work}/", corpus, self.seeds], {})
        return took_s if any(self.work.glob("crash-*")) else None

    def afl(self, program: Path) -> float | None:
        """-c 0: one binary for both. Of AFL++ 4.04 a second one, `-c PROGRAM`, solved nothing at all here."""
        out = self.work / "afl-out"
        limits = ("-V", str(self.seconds), "-s", str(self.seed), "-G", str(MAX_LEN))
        argv: list[str | Path] = ["afl-fuzz", "-i", self.seeds, "-o", out, *limits, "-c", "0", "--", program]
        took_s = self._timed(argv, {**fuzzers.AFL_RUN, "AFL_BENCH_UNTIL_CRASH": "1"})
        return took_s if any((out / "default" / "crashes").glob("id:*")) else None

    def firedamp(self) -> float | None:
        """Until its word of a confirmed abort."""
        (self.work / "firedamp.toml").write_text(
            f'[targets.case]\nsources = ["{SUITE / SOURCE}"]\ncflags = ["-DCASE={self.constraint.name}"]\n'
            f'seeds = "seeds"\nmax_len = {MAX_LEN}\n'
        )
        subprocess.run([*FIREDAMP, "build", "case", "--unguarded"], cwd=self.work, check=True, capture_output=True)
        limits = ("--time", f"{self.seconds}s", "--seed", str(self.seed), "--unguarded", "--json")
        started = time.monotonic()
        process = subprocess.Popen(
            ["taskset", "-c", str(self.core), *FIREDAMP, "fuzz", "case", *limits],
            cwd=self.work,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",
        )
        assert process.stderr is not None
        solved = None
        for line in process.stderr:
            if solved is None and "abort in" in line and "came back" in line:
                solved = round(time.monotonic() - started, 2)
                process.send_signal(signal.SIGINT)
        process.wait()
        return solved

    def _timed(self, argv: list[str | Path], environment: dict[str, str]) -> float:
        started = time.monotonic()
        fuzzers.said(["taskset", "-c", str(self.core), *argv], self.seconds, environment)
        return round(time.monotonic() - started, 2)


def contests(chosen: list[Constraint], cores: list[int], options: argparse.Namespace, publish: "Publish") -> list[Row]:
    free: queue.Queue[int] = queue.Queue()
    for core in cores:
        free.put(core)
    compiler = choose("clang")

    def one(constraint: Constraint) -> Row:
        core = free.get()
        try:
            return Contest(constraint, compiler, core, options).run()
        finally:
            free.put(core)

    rows: list[Row] = []
    with ThreadPoolExecutor(len(cores)) as pool:
        for done in as_completed([pool.submit(one, constraint) for constraint in chosen]):
            rows.append(done.result())
            rows.sort(key=lambda row: chosen.index(row.constraint))
            publish(rows)
    return rows


def score(rows: list[Row], tool: str) -> int:
    return sum(row.solved_s[tool] is not None for row in rows)


def table(rows: list[Row], facts: dict[str, object]) -> str:
    """Markdown."""
    lines = [
        "# Comparisons solved",
        "",
        f"| constraint | kind | {' | '.join(TOOLS)} |",
        f"|---|---|{'---|' * len(TOOLS)}",
        *(
            f"| {row.constraint.name} | {row.constraint.group} | "
            + " | ".join("-" if row.solved_s[tool] is None else f"{row.solved_s[tool]:.1f} s" for tool in TOOLS)
            + " |"
            for row in rows
        ),
        f"| **solved of {len(rows)}** | | {' | '.join(f'**{score(rows, tool)}**' for tool in TOOLS)} |",
        "",
        "One run each, with one -seed: what is solved late by one seed may be missed with another.",
        "",
        *(f"- {name}: {value}" for name, value in facts.items()),
    ]
    return "\n".join(lines) + "\n"


class Publish:
    """Writes both files."""

    def __init__(self, options: argparse.Namespace, facts: dict[str, object]) -> None:
        self.facts = facts
        self.name = "comparisons" if options.seconds == SECONDS else f"comparisons-{options.seconds}s"
        self.folder: Path = options.results
        self.folder.mkdir(parents=True, exist_ok=True)

    def __call__(self, rows: list[Row]) -> None:
        (self.folder / f"{self.name}.md").write_text(table(rows, self.facts))
        document = {**self.facts, "rows": [asdict(row) for row in rows]}
        (self.folder / f"{self.name}.json").write_text(json.dumps(document, indent=1) + "\n")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else None)
    parser.add_argument("--seconds", type=int, default=SECONDS, help="of each fuzzer on each constraint")
    parser.add_argument("--cores", default=",".join(map(str, sorted(os.sched_getaffinity(0)))), metavar="N,N")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", nargs="*", help="names of constraints")
    parser.add_argument("--results", type=Path, default=PROJECT / "results" / "bench")
    options = parser.parse_args()
    cores = [int(core) for core in options.cores.split(",")]
    chosen = [each for each in constraints() if not options.only or each.name in options.only]
    facts: dict[str, object] = {
        "command": f"python tests/bench/comparisons.py {' '.join(sys.argv[1:])}".strip(),
        "compiler": str(choose("clang")),
        "AFL++": fuzzers.afl_version(),
        "kernel": platform.release(),
        "python": platform.python_version(),
        "seconds of each": options.seconds,
        "constraints at the same time": len(cores),
    }
    rows = contests(chosen, cores, options, Publish(options, facts))
    print(table(rows, facts), end="")
    return 0 if score(rows, "firedamp") > score(rows, "libFuzzer") else 1


if __name__ == "__main__":
    sys.exit(main())
