"""Executions per second: firedamp's driver against native libFuzzer and AFL++, side by side in one run.

    python tests/bench/throughput.py [--seconds 10] [--rounds 3] [--core 1] [--sample 1] [--stock] [--no-afl]

Both sides get the same objects' flags (compiler, -O, guards, coverage), the same libFuzzer arguments, seeds, limits
and -seed; the sides take turns on one core. A rate is units over wall time, from the start of libFuzzer to its end.
-fsanitize=fuzzer-no-link stands among those flags, so both sides are compiled for fuzzing and have the same counters:
a row is refused when they differ in number. What -fsanitize=fuzzer adds while compiling, a hook for the depth of the
stack that needs the sanitizer's runtime, is a row of its own (`--stock`), and no measure of the driver.
AFL++ in persistent mode is a column of its own: it has another coverage, so its edges are those that native libFuzzer
counts when it runs AFL++'s queue once. Edges and features are what was reached after equal time.
--sample 8 is what `firedamp fuzz` does; its table stands beside the one with equal coverage.
Writes results/bench/throughput.md and throughput.json (with --sample N: throughput-sample-N).
"""

import argparse
import hashlib
import json
import os
import platform
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

import fuzzers

from firedamp.building.build import build
from firedamp.building.profiles import COMPARED, compile_flags
from firedamp.building.toolchain import Compiler, choose
from firedamp.target import Build, Profile, Target, TargetKind
from fuzz.command import plan
from fuzz.flags import CommandLine
from fuzz.status import Status
from fuzz.supervisor import Supervisor

HERE = Path(__file__).parent
PROJECT = HERE.parent.parent
SOURCES = {  # Debian's source package -> SHA-256 of its upstream archive
    "cjson": "5308fd4bd90cef7aa060558514de6a1a4a0819974a26e6ed13973c5f624c24b2",  # 1.7.15
    "libyaml": "fa240dbf262be053f3898006d502d514936c818e422afdcf33921c63bed9bf2e",  # 0.2.5
    "expat": "ab00ee05c7067fd10a35c5d2a4922ebba746ddd50ff83b79c828da17bbdf1757",  # 2.5.0
}
YAML_VERSION = tuple(f"-DYAML_VERSION_{part}" for part in ("MAJOR=0", "MINOR=2", "PATCH=5", 'STRING="0.2.5"'))
MAX_LEN = 512
PASS = 0.95
COUNTERS = re.compile(r"Loaded 1 modules\s+\((\d+) inline 8-bit counters\)")
UNITS = re.compile(r"stat::number_of_executed_units:\s*(\d+)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """One run of one side."""

    units: int
    wall_s: float
    counters: int  # in the instrumented code
    edges: int
    features: int

    @property
    def per_s(self) -> float:
        return self.units / self.wall_s


@dataclass(frozen=True, slots=True, kw_only=True)
class AflCell:
    """AFL++'s run of one round: its rate, and what native libFuzzer counts in its queue."""

    per_s: float
    edges: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    target: str
    native_counters: int
    firedamp_counters: int
    native_per_s: float
    firedamp_per_s: float
    ratio: float  # median of the rounds' ratios
    ratio_lowest: float  # the rounds differ: each side's corpus grows its own way, and machines are shared
    ratio_highest: float
    native_edges: float
    firedamp_edges: float
    native_features: float
    firedamp_features: float
    afl_per_s: float | None  # None: it did not run
    afl_edges: float | None
    over_afl: float | None  # firedamp's rate, of AFL++'s


def _trivial(work: Path) -> Target:
    return _target("trivial", HERE / "targets", ("trivial.c",))


def _strings(work: Path) -> Target:
    return _target("strings", HERE / "targets", ("strings.c",))


def _cjson(work: Path) -> Target:
    root = fetched("cjson", work)
    return _target("cjson", root, ("cJSON.c", "fuzzing/cjson_read_fuzzer.c"), seeds=root / "fuzzing" / "inputs")


def _libyaml(work: Path) -> Target:
    root = fetched("libyaml", work)
    sources = ("harness.c", "src/api.c", "src/parser.c", "src/reader.c", "src/scanner.c")
    return _target("libyaml", root, sources, seeds=root / "examples", cflags=("-Iinclude", *YAML_VERSION))


def _expat(work: Path) -> Target:
    root, own = fetched("expat", work), HERE / "targets"
    sources = ("harness.c", *(f"expat/lib/{name}.c" for name in ("xmlparse", "xmlrole", "xmltok")))
    return _target("expat", root, sources, seeds=own / "expat-seeds", cflags=("-Iexpat/lib", f"-I{own}"))


# Name -> target; the parsers are fetched when they are wanted, never copied into the repository.
TARGETS = {"trivial": _trivial, "strings": _strings, "cJSON": _cjson, "libyaml": _libyaml, "expat": _expat}


def fetched(package: str, work: Path) -> Path:
    folder = work / package
    subprocess.run([HERE / "fetch-source.sh", package, SOURCES[package], folder], check=True)
    if (harness := HERE / "targets" / f"{package}.c").exists():
        shutil.copy(harness, folder / "harness.c")
    return folder


def _target(
    name: str, root: Path, sources: tuple[str, ...], seeds: Path | None = None, cflags: tuple[str, ...] = ()
) -> Target:
    return Target(
        name=name,
        kind=TargetKind.HARNESS,
        root=root,
        sources=sources,
        seeds=str(seeds) if seeds else None,
        cflags=cflags,
        max_len=MAX_LEN,
    )


def arguments(target: Target, folder: Path, seconds: int, seed: int) -> tuple[str, ...]:
    """libFuzzer's, for either side: an empty corpus of its own and a copy of the seeds."""
    for name in ("corpus", "seeds"):
        (folder / name).mkdir(parents=True)
    for path in sorted(Path(target.seeds).iterdir()) if target.seeds else ():
        shutil.copy(path, folder / "seeds")
    line = CommandLine(
        corpus=folder / "corpus",
        seeds=folder / "seeds",
        max_len=MAX_LEN,
        timeout_s=5,
        rss_limit_mb=2048,
        extra=(f"-max_total_time={seconds}", "-print_final_stats=1"),
    )
    return tuple(word for word in line.argv(seed=seed, runs=None) if word != "-print_final_stats=0")


def run_native(program: Path, argv: tuple[str, ...]) -> Cell:
    started = time.monotonic()
    run = subprocess.run([program, *argv[1:]], capture_output=True, text=True, errors="replace", check=True)
    return _cell(run.stderr, time.monotonic() - started, Status().after(run.stderr))


def run_afl(afl: Path, program: Path, target: Target, folder: Path, seconds: int, seed: int) -> AflCell:
    """From the same seeds, or from one short text where the others start from nothing: AFL++ wants a file."""
    seeds = folder / "seeds"
    seeds.mkdir(parents=True)
    for path in sorted(Path(target.seeds).iterdir()) if target.seeds else ():
        (seeds / path.name).write_bytes(path.read_bytes()[:MAX_LEN])
    if not any(seeds.iterdir()):
        (seeds / "text").write_text("text")
    heard = fuzzers.run_afl(afl, seeds, folder, seconds=seconds, seed=seed, max_len=MAX_LEN)
    queue = folder / "afl-out" / "default" / "queue"
    once = subprocess.run(
        [program, "-runs=0", f"-max_len={MAX_LEN}", queue], capture_output=True, text=True, errors="replace"
    )
    return AflCell(per_s=heard.executions / heard.wall_s, edges=Status().after(once.stderr).edges)


def run_firedamp(made: Build, argv: tuple[str, ...], folder: Path, sample: int) -> Cell:
    child = plan(made.target, made, folder=folder, corpus=folder / "corpus", sample=sample)
    with Supervisor(child, max_len=MAX_LEN) as supervisor:
        started = time.monotonic()
        supervisor.begin(argv)
        end = supervisor.hear(3600)
        assert end is not None and end.exit_status == 0, end
        return _cell(supervisor.log(), time.monotonic() - started, end.status)


def _cell(said: str, wall_s: float, status: Status) -> Cell:
    units, counters = UNITS.search(said), COUNTERS.search(said)
    assert units is not None and counters is not None, said
    return Cell(
        units=int(units[1]),
        wall_s=wall_s,
        counters=int(counters[1]),
        edges=status.edges,
        features=status.features,
    )


def measure(
    name: str, target: Target, compiler: Compiler, work: Path, options: argparse.Namespace, *, stock: bool
) -> Row:
    built = Path(tempfile.mkdtemp(dir=work))
    program = fuzzers.native(target, compiler, built, stock=stock)
    afl = None if options.no_afl or stock else fuzzers.afl(target, compiler, built)
    made = build(target, Profile.HARDENED, compiler=compiler.name, cache=work / "cache", allow_unguarded=True)
    rounds: list[tuple[Cell, Cell]] = []
    others: list[AflCell] = []
    for turn in range(options.rounds):
        folders = [Path(tempfile.mkdtemp(dir=work)) for _ in range(2)]
        argvs = [arguments(target, folder, options.seconds, seed=turn + 1) for folder in folders]
        sides: list[Callable[[], Cell]] = [
            partial(run_native, program, argvs[0]),
            partial(run_firedamp, made, argvs[1], folders[1], options.sample),
        ]
        order = (0, 1) if turn % 2 == 0 else (1, 0)  # neither side is always the first
        cells = {index: sides[index]() for index in order}
        rounds.append((cells[0], cells[1]))
        if afl:
            others.append(run_afl(afl, program, target, Path(tempfile.mkdtemp(dir=work)), options.seconds, turn + 1))
    ours, theirs = [pair[1] for pair in rounds], [pair[0] for pair in rounds]
    if ours[0].counters != theirs[0].counters and not stock:
        raise SystemExit(
            f"{name}: native has {theirs[0].counters} counters, firedamp {ours[0].counters}: they are not the same "
            "program and cannot be compared; make the compile flags equal"
        )
    ratios = [pair[1].per_s / pair[0].per_s for pair in rounds]
    return Row(
        target=f"{name}, native with stock flags" if stock else name,
        native_counters=theirs[0].counters,
        firedamp_counters=ours[0].counters,
        native_per_s=round(statistics.median(cell.per_s for cell in theirs)),
        firedamp_per_s=round(statistics.median(cell.per_s for cell in ours)),
        ratio=round(statistics.median(ratios), 3),
        ratio_lowest=round(min(ratios), 3),
        ratio_highest=round(max(ratios), 3),
        native_edges=statistics.median(cell.edges for cell in theirs),
        firedamp_edges=statistics.median(cell.edges for cell in ours),
        native_features=statistics.median(cell.features for cell in theirs),
        firedamp_features=statistics.median(cell.features for cell in ours),
        afl_per_s=round(statistics.median(cell.per_s for cell in others)) if others else None,
        afl_edges=statistics.median(cell.edges for cell in others) if others else None,
        over_afl=round(statistics.median(o.per_s / a.per_s for o, a in zip(ours, others, strict=True)), 2)
        if others
        else None,
    )


def table(rows: list[Row], facts: dict[str, object]) -> str:
    """Markdown."""
    lines = [
        "# Executions per second against native libFuzzer and AFL++",
        "",
        "| target | executions/s | ratio (rounds) | counters | edges | features | AFL++ executions/s | edges | ratio |",
        "|---|---|---|---|---|---|---|---|---|",
        *(
            f"| {row.target} | {row.native_per_s:,.0f} / {row.firedamp_per_s:,.0f} | {row.ratio:.2f} "
            f"({row.ratio_lowest:.2f}-{row.ratio_highest:.2f}) "
            f"| {row.native_counters} / {row.firedamp_counters} | {row.native_edges:g} / {row.firedamp_edges:g} "
            f"| {row.native_features:g} / {row.firedamp_features:g} | {_afl_columns(row)} |"
            for row in rows
        ),
        "",
        f"native / firedamp, medians over rounds; target: ratio >= {PASS} where the counters are the same.",
        "AFL++'s ratio: firedamp's executions/s over its own.",
        "",
        *(f"- {name}: {value}" for name, value in facts.items()),
    ]
    return "\n".join(lines) + "\n"


def _afl_columns(row: Row) -> str:
    if row.afl_per_s is None:
        return "- | - | -"
    return f"{row.afl_per_s:,.0f} | {row.afl_edges:g} | {row.over_afl:.1f}"


def facts(compiler: Compiler, options: argparse.Namespace) -> dict[str, object]:
    flags = compile_flags(compiler, Profile.HARDENED, TargetKind.HARNESS, Path())
    runtime = sorted((PROJECT / "firedamp" / "runtime").glob("*"))
    return {
        "command": f"python tests/bench/throughput.py {' '.join(sys.argv[1:])}".strip(),
        "compiler": str(compiler),
        "flags": " ".join(flag for flag in flags if flag.removeprefix("-fno-builtin-") not in COMPARED),
        "string functions kept as calls": ", ".join(COMPARED),
        "kernel": platform.release(),
        "python": platform.python_version(),
        "core": options.core,
        "seconds": options.seconds,
        "rounds": options.rounds,
        "comparisons reported in one execution of": options.sample,
        "runtime sha256": hashlib.sha256(b"".join(path.read_bytes() for path in runtime)).hexdigest()[:16],
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else None)
    parser.add_argument("--seconds", type=int, default=10, help="of each cell")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--core", type=int, default=max(os.sched_getaffinity(0)))
    parser.add_argument("--sample", type=int, default=1, help="report comparisons in one of N executions")
    parser.add_argument("--stock", action="store_true", help="also against native compiled with -fsanitize=fuzzer")
    parser.add_argument("--no-afl", action="store_true", help="without the column of AFL++")
    parser.add_argument("--only", nargs="*", help="names of targets")
    parser.add_argument("--results", type=Path, default=PROJECT / "results" / "bench")
    options = parser.parse_args()
    compiler = choose("clang")
    os.sched_setaffinity(0, {options.core})  # as taskset does; children inherit it
    with tempfile.TemporaryDirectory(prefix="firedamp-bench-") as name:
        work = Path(name)
        chosen = {key: make(work) for key, make in TARGETS.items() if not options.only or key in options.only}
        rows = [
            measure(key, target, compiler, work, options, stock=stock)
            for stock in ((False, True) if options.stock else (False,))
            for key, target in chosen.items()
        ]
    known = facts(compiler, options)
    text = table(rows, known)
    print(text, end="")
    options.results.mkdir(parents=True, exist_ok=True)
    name = "throughput" if options.sample == 1 else f"throughput-sample-{options.sample}"
    (options.results / f"{name}.md").write_text(text)
    document = {**known, "rows": [asdict(row) for row in rows]}
    (options.results / f"{name}.json").write_text(json.dumps(document, indent=1) + "\n")
    return 0 if all(row.ratio >= PASS for row in rows if row.native_counters == row.firedamp_counters) else 1


if __name__ == "__main__":
    sys.exit(main())
