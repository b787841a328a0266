"""What it takes until fuzzing begins, a corpus is read, and regressions are replayed: firedamp beside native libFuzzer.

    python tests/bench/startup.py [--rounds 5] [--core 1] [--inputs 10000] [--regressions 100] [--only trivial cJSON]

Whole commands on one core, sides in turns, medians. Both sides get the same source, clang and hardening flags, and
firedamp's builds are made before. Each row tells one thing:
cold start: `firedamp fuzz T --runs 1` and the program's `-runs=1`, from no corpus, beside `python -c pass`;
corpus: --inputs files, as `seeds` of a search that ends behind them, and as the program's `-runs=0 FOLDER`;
regressions: `firedamp regress T`, each in a fresh process that a tracer watches, and the program started for each file.
Rates leave out the cold start of the same side. Shrinking is minimise.py's. Writes results/bench/startup.md and .json.
"""

import argparse
import json
import os
import platform
import random
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import fuzzers
import tomli_w
from throughput import MAX_LEN, TARGETS

from firedamp import corpus, reproducer_file
from firedamp.building.toolchain import choose
from firedamp.reproducer import Reproducer
from firedamp.target import Profile, Target

PROJECT = Path(__file__).parent.parent.parent
FIREDAMP = (sys.executable, "-P", "-m", "firedamp")
START = b"one text, for a target without seeds"
EDGE_BYTES = 4  # at either end of a seed: what says to a harness what the rest is for
LONGEST_S = 600  # of one command: beyond it something is broken
Command = Callable[[], object]


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    target: str
    work: str
    inputs: int
    python_s: float  # python -c pass, in the same rounds
    native_s: float
    firedamp_s: float
    ratio: float  # of the whole commands: firedamp's time over native's, the median of the rounds
    native_per_s: float | None = None  # inputs, without the cold start
    firedamp_per_s: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """One target's native program, its files, and two projects: what is copied for a run is not the same in both."""

    target: Target
    program: Path
    cold: Path  # with regressions
    corpus: Path  # with seeds
    seeds: Path
    regressions: tuple[Path, ...]

    def native(self, *words: str | Path) -> None:
        quietly(self.program, f"-max_len={MAX_LEN}", "-detect_leaks=0", "-seed=1", *words, folder=self.program.parent)

    def native_regressions(self) -> None:
        for path in self.regressions:
            self.native(path)


def firedamp(project: Path, *words: str) -> None:
    """What a search learnt before is forgotten, what was built is not."""
    for path in (project / "results").glob("[!.]*"):
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    quietly(*FIREDAMP, *words, folder=project)


def quietly(*words: str | Path, folder: Path | None = None) -> None:
    done = subprocess.run(words, cwd=folder, capture_output=True, text=True, errors="replace", timeout=LONGEST_S)
    if done.returncode != 0:
        raise SystemExit(f"{' '.join(map(str, words))}: ended with {done.returncode}\n{done.stderr}")


def drawn(target: Target, count: int) -> tuple[bytes, ...]:
    """Different inputs: a seed of the target's with a few bytes more in its middle; the same in every run."""
    chance = random.Random(1)
    given = [path.read_bytes() for path in sorted(Path(target.seeds).iterdir())] if target.seeds else [START]
    seeds = [data for data in given if 2 * EDGE_BYTES < len(data) < MAX_LEN - 8] or [START]
    found: dict[bytes, None] = {}
    while len(found) < count:
        data = chance.choice(seeds)
        at = chance.randrange(EDGE_BYTES, len(data) - EDGE_BYTES)
        found[data[:at] + chance.randbytes(chance.randint(2, 8)) + data[at:]] = None
    return tuple(found)


def furnish(target: Target, work: Path, options: argparse.Namespace) -> Place:
    inputs = drawn(target, options.inputs)
    cold, full = (project(target, work / f"{target.name}-{name}") for name in ("cold", "corpus"))
    regressions = corpus.regressions_folder(cold, target.name)
    here = replace(target, root=cold, seeds=None)
    for number, data in enumerate(inputs[: options.regressions]):
        reproducer = Reproducer(engine="fuzz", target=here, profile=Profile.HARDENED, payload=data)
        reproducer_file.write(reproducer, regressions, name=f"{number:05}", portable=True)
    seeds = corpus.seeds_folder(full, target.name)
    for number, data in enumerate(inputs):
        (seeds / f"{number:05}").write_bytes(data)
    return Place(
        target=target,
        program=fuzzers.native(target, choose("clang"), Path(tempfile.mkdtemp(dir=work))),
        cold=cold,
        corpus=full,
        seeds=seeds,
        regressions=tuple(path for path in sorted(regressions.iterdir()) if path.suffix != ".toml"),
    )


def project(target: Target, folder: Path) -> Path:
    """As a user's: sources in the folder, seeds and regressions beneath corpora/."""
    shutil.copytree(target.root, folder)
    seeds = corpus.seeds_folder(folder, target.name)
    seeds.mkdir(parents=True)
    table = {
        "sources": list(target.sources),
        "cflags": list(target.cflags),
        "seeds": str(seeds.relative_to(folder)),
        "max_len": MAX_LEN,
    }
    (folder / "firedamp.toml").write_text(tomli_w.dumps({"targets": {target.name: table}}))
    return folder


def in_turns(commands: dict[str, Command], rounds: int) -> dict[str, list[float]]:
    """Seconds of each command in each round; one round before, that nothing is counted of, warms the files."""
    took: dict[str, list[float]] = {name: [] for name in commands}
    for turn in range(rounds + 1):
        for name in commands if turn % 2 else reversed(commands):
            started = time.perf_counter()
            commands[name]()
            if turn:
                took[name].append(time.perf_counter() - started)
    return took


def measure(place: Place, options: argparse.Namespace) -> list[Row]:
    name = place.target.name
    works: dict[str, tuple[int, Command, Command]] = {
        "cold start": (1, lambda: firedamp(place.cold, "fuzz", name, "--runs", "1"), lambda: place.native("-runs=1")),
        "corpus": (
            options.inputs,
            lambda: firedamp(place.corpus, "fuzz", name, "--runs", str(options.inputs)),
            lambda: place.native("-runs=0", place.seeds),
        ),
        "regressions": (
            options.regressions,
            lambda: firedamp(place.cold, "regress", name),
            place.native_regressions,
        ),
    }
    rows: list[Row] = []
    for work, (inputs, ours, theirs) in works.items():
        took = in_turns({"python": python, "native": theirs, "firedamp": ours}, options.rounds)
        rows.append(row(name, work, inputs, took, rows[0] if rows else None))
    return rows


def python() -> None:
    quietly(sys.executable, "-c", "pass")


def row(target: str, work: str, inputs: int, took: dict[str, list[float]], cold: Row | None) -> Row:
    middle = {side: statistics.median(values) for side, values in took.items()}
    ratio = statistics.median(ours / theirs for ours, theirs in zip(took["firedamp"], took["native"], strict=True))
    native_start = 0.0 if cold is None or work == "regressions" else cold.native_s  # each process has its own there
    return Row(
        target=target,
        work=work,
        inputs=inputs,
        python_s=round(middle["python"], 4),
        native_s=round(middle["native"], 4),
        firedamp_s=round(middle["firedamp"], 3),
        ratio=round(ratio, 2),
        native_per_s=None if cold is None else per_s(inputs, middle["native"] - native_start),
        firedamp_per_s=None if cold is None else per_s(inputs, middle["firedamp"] - cold.firedamp_s),
    )


def per_s(inputs: int, seconds: float) -> float | None:
    """None: it took no longer than the cold start, and nothing can be said."""
    return round(inputs / seconds, 1) if seconds > 0 else None


def table(rows: list[Row], facts: dict[str, object]) -> str:
    """Markdown."""
    lines = [
        "# Cold start, a corpus, and regressions beside native libFuzzer",
        "",
        "| target | work | inputs | python -c pass | native s | firedamp s | ratio | inputs/s without the start |",
        "|---|---|---|---|---|---|---|---|",
        *(
            f"| {row.target} | {row.work} | {row.inputs:,} | {row.python_s:.3f} | {row.native_s:.3f} "
            f"| {row.firedamp_s:.2f} | {row.ratio:.2f} | {rate(row.native_per_s)} / {rate(row.firedamp_per_s)} |"
            for row in rows
        ),
        "",
        "Seconds of whole commands, medians; ratio: firedamp over native. Rates: native / firedamp.",
        "A cold start of firedamp, in multiples of `python -c pass`: " + ", ".join(multiples(rows)) + ".",
        "",
        *(f"- {name}: {value}" for name, value in facts.items()),
    ]
    return "\n".join(lines) + "\n"


def rate(value: float | None) -> str:
    return "-" if value is None else f"{value:,.0f}"


def multiples(rows: list[Row]) -> list[str]:
    return [f"{row.target} {row.firedamp_s / row.python_s:.0f}" for row in rows if row.work == "cold start"]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else None)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--core", type=int, default=max(os.sched_getaffinity(0)))
    parser.add_argument("--inputs", type=int, default=10_000)
    parser.add_argument("--regressions", type=int, default=100)
    parser.add_argument("--only", nargs="*", default=["trivial", "cJSON"], choices=TARGETS, help="names of targets")
    parser.add_argument("--results", type=Path, default=PROJECT / "results" / "bench")
    options = parser.parse_args()
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)  # with it, each start would compile firedamp anew
    os.sched_setaffinity(0, {options.core})  # as taskset does; children inherit it
    with tempfile.TemporaryDirectory(prefix="firedamp-bench-") as name:
        work = Path(name)
        places = [furnish(TARGETS[key](work), work, options) for key in options.only]
        rows = [row for place in places for row in measure(place, options)]
    facts: dict[str, object] = {
        "command": f"python tests/bench/startup.py {' '.join(sys.argv[1:])}".strip(),
        "compiler": str(choose("clang")),
        "kernel": platform.release(),
        "python": platform.python_version(),
        "core": options.core,
        "rounds": options.rounds,
    }
    text = table(rows, facts)
    print(text, end="")
    options.results.mkdir(parents=True, exist_ok=True)
    (options.results / "startup.md").write_text(text)
    document = {**facts, "rows": [asdict(row) for row in rows]}
    (options.results / "startup.json").write_text(json.dumps(document, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
