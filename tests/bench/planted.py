"""Ten planted bugs of nine kinds: which of them firedamp, native libFuzzer and AFL++ find, side by side in one run.

    python tests/bench/planted.py [--time 60] [--core 1] [--seed 1] [--compiler clang]

The target is planted/server.c; the fuzzers take turns on one core with the same flags, seeds and limits. Every input
that a fuzzer calls a crash is replayed by the ground truth (the target with -DLABELS, which names the bug instead of
having it): only a named bug counts as found. Of firedamp each finding's shrunk input is judged so, and a bug counts
from the moment when its finding was confirmed; of the others, from the moment when the first input was kept.
Its executions per second stand beside those of the twin (-DFIXED) in the same time; what it says of the twin is false.
Writes results/bench/planted.md and planted.json (with --compiler gcc: planted-gcc).
"""

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
import tomllib
from collections import Counter
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path

import fuzzers
from fuzzers import Crash, Heard

from firedamp.building.toolchain import Compiler, choose
from firedamp.target import Target, TargetKind

HERE = Path(__file__).parent
PROJECT = HERE.parent.parent
SUITE = HERE / "planted"
FIREDAMP = (sys.executable, "-m", "firedamp")
MAX_LEN = 256  # server.c: MOST
AIM_S = 10  # all of them within
AIM_RATIO = 0.5  # executions/s, of the twin's


@dataclass(frozen=True, slots=True, kw_only=True)
class Bug:
    kind: str
    where: str
    behind: str


BUGS = {
    1: Bug(kind="stack-smash", where="set_name", behind="nothing"),
    2: Bug(kind="fortify-overflow", where="set_host", behind="nothing"),
    3: Bug(kind="fortify-percent-n", where="use_template", behind="nothing"),
    4: Bug(kind="format-arguments", where="warn_user", behind="4 bytes"),
    5: Bug(kind="heap-corruption", where="free_cell", behind="3 conditions"),
    6: Bug(kind="fpe", where="divide", behind="1 condition"),
    7: Bug(kind="assert", where="read_entry", behind="3 conditions"),
    8: Bug(kind="segv-null", where="switch_user", behind="a string"),
    9: Bug(kind="stack-exhaustion", where="nested", behind="1 condition"),
    10: Bug(kind="stack-smash", where="copy_serial", behind="4 bytes, 2 conditions"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Side:
    """One fuzzer's result, with each crash judged."""

    name: str
    executions: int
    wall_s: float
    first_s: dict[int, float]  # bug -> when
    crashes: int  # inputs kept as crashes; of firedamp: findings
    doubled: int  # findings beyond the first of a bug
    false: int  # crashes in which the ground truth sees no planted bug

    @property
    def per_s(self) -> float:
        return self.executions / self.wall_s


PROJECT_FILE = """
[targets.planted]
sources = ["server.c"]
seeds = "seeds"
max_len = {max_len}

[targets.fixed]
sources = ["server.c"]
cflags = ["-DFIXED"]
seeds = "seeds"
max_len = {max_len}
"""


def ground_truth(work: Path, compiler: Compiler) -> Path:
    labels = work / "labels"
    subprocess.run([*compiler.command, "-O1", "-w", "-DLABELS", SUITE / "server.c", "-o", labels], check=True)
    return labels


def judged(name: str, heard: Heard, labels: Path) -> Side:
    """Each crash by the ground truth, the earliest first."""
    first_s: dict[int, float] = {}
    seen: Counter[int] = Counter()
    for crash in heard.crashes:
        said = subprocess.run([labels, crash.path], capture_output=True, text=True, check=True).stdout
        bug = int(said)
        seen[bug] += 1
        first_s.setdefault(bug, round(crash.after_s, 2))
    false = seen.pop(0, 0)
    first_s.pop(0, None)
    return Side(
        name=name,
        executions=heard.executions,
        wall_s=round(heard.wall_s, 2),
        first_s=dict(sorted(first_s.items())),
        crashes=len(heard.crashes),
        doubled=sum(count - 1 for count in seen.values()),
        false=false,
    )


def run_firedamp(project: Path, target: str, options: argparse.Namespace) -> Heard:
    building = ("--compiler", options.compiler)
    subprocess.run([*FIREDAMP, "build", target, *building], cwd=project, check=True, capture_output=True)
    budget = ("--time", f"{options.time}s", "--seed", str(options.seed))
    started = time.time()
    run = subprocess.run(
        [*FIREDAMP, "fuzz", target, *budget, *building, "--json"], cwd=project, capture_output=True, text=True
    )
    assert run.returncode in (0, 1), run.stderr
    said = json.loads(run.stdout)
    found = [finding for finding in said["findings"] if finding["state"] != "unconfirmed"]
    crashes = [
        Crash(
            path=_payload(Path(finding["reproducer"])),
            after_s=datetime.fromisoformat(finding["first_seen"]).timestamp() - started,
        )
        for finding in found
    ]
    crashes.sort(key=lambda crash: crash.after_s)
    return Heard(executions=said["executions"], wall_s=said["wall_s"], crashes=tuple(crashes))


def _payload(reproducer: Path) -> Path:
    return reproducer.parent / str(tomllib.loads(reproducer.read_text())["payload"])


def sides(work: Path, compiler: Compiler, options: argparse.Namespace) -> list[Side]:
    """firedamp, its twin, and the others; each starts from the seeds alone."""
    clang = choose("clang")
    target = Target(name="planted", kind=TargetKind.HARNESS, root=SUITE, sources=("server.c",))
    seeds, labels = SUITE / "seeds", ground_truth(work, compiler)
    (work / "firedamp.toml").write_text(PROJECT_FILE.format(max_len=MAX_LEN))
    (work / "server.c").symlink_to(SUITE / "server.c")
    (work / "seeds").symlink_to(seeds)
    native, afl = fuzzers.native(target, clang, work), fuzzers.afl(target, clang, work)
    limits = {"seconds": options.time, "seed": options.seed, "max_len": MAX_LEN}
    return [
        judged("firedamp", run_firedamp(work, "planted", options), labels),
        judged("firedamp, -DFIXED", run_firedamp(work, "fixed", options), labels),
        judged("libFuzzer -fork=1", fuzzers.run_native(native, seeds, work / "runs", **limits), labels),
        judged("AFL++ persistent", fuzzers.run_afl(afl, seeds, work / "runs", **limits), labels),
    ]


def table(ran: list[Side], facts: dict[str, object]) -> str:
    """Markdown."""
    ours, twin, *others = ran
    shown = [ours, *others]
    lines = [
        "# Ten planted bugs of nine kinds",
        "",
        f"| bug | behind | {' | '.join(side.name for side in shown)} |",
        f"|---|---|{'---|' * len(shown)}",
        *(
            f"| {bug.kind} in {bug.where} | {bug.behind} | "
            + " | ".join(f"{side.first_s[number]:.1f} s" if number in side.first_s else "-" for side in shown)
            + " |"
            for number, bug in BUGS.items()
        ),
        f"| **found of {len(BUGS)}** | | {' | '.join(f'**{len(side.first_s)}**' for side in shown)} |",
        f"| executions | | {' | '.join(f'{side.executions:,}' for side in shown)} |",
        f"| executions/s | | {' | '.join(f'{side.per_s:,.0f}' for side in shown)} |",
        f"| crashes to look at | | {' | '.join(str(side.crashes) for side in shown)} |",
        "",
        _verdict(ours, twin),
        "",
        *(f"- {name}: {value}" for name, value in facts.items()),
    ]
    return "\n".join(lines) + "\n"


def _verdict(ours: Side, twin: Side) -> str:
    last_s = max(ours.first_s.values(), default=0.0)
    return (
        f"firedamp told {len(ours.first_s)} bugs apart by {ours.crashes} findings ({ours.doubled} doubled, "
        f"{ours.false} false; {twin.crashes} on the twin without the bugs), the last after {last_s:.1f} s. Its rate is "
        f"{ours.per_s / twin.per_s:.2f} of the twin's {twin.per_s:,.0f} executions/s. Aimed at: {len(BUGS)} within "
        f"{AIM_S} s, at {AIM_RATIO} of the rate. The others' crashes carry no name; the ground truth named them."
    )


def _reached(ours: Side, twin: Side) -> bool:
    all_soon = len(ours.first_s) == len(BUGS) and max(ours.first_s.values()) <= AIM_S
    true = not (ours.doubled or ours.false or twin.crashes)
    return all_soon and true and ours.per_s >= AIM_RATIO * twin.per_s


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else None)
    parser.add_argument("--time", type=int, default=60, help="seconds of each fuzzer")
    parser.add_argument("--core", type=int, default=max(os.sched_getaffinity(0)))
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--compiler", choices=("clang", "gcc", "zig"), default="clang", help="firedamp's")
    parser.add_argument("--results", type=Path, default=PROJECT / "results" / "bench")
    options = parser.parse_args()
    compiler = choose(options.compiler)
    os.sched_setaffinity(0, {options.core})  # as taskset does; children inherit it
    with tempfile.TemporaryDirectory(prefix="firedamp-bench-") as name:
        ran = sides(Path(name), compiler, options)
    facts: dict[str, object] = {
        "command": f"python tests/bench/planted.py {' '.join(sys.argv[1:])}".strip(),
        "firedamp's compiler": str(compiler),
        "AFL++": fuzzers.afl_version(),
        "kernel": platform.release(),
        "python": platform.python_version(),
        "seconds of each": options.time,
        "core": options.core,
    }
    text = table(ran, facts)
    print(text, end="")
    options.results.mkdir(parents=True, exist_ok=True)
    name = "planted" if options.compiler == "clang" else f"planted-{options.compiler}"
    (options.results / f"{name}.md").write_text(text)
    document = {**facts, "bugs": {key: asdict(bug) for key, bug in BUGS.items()}, "sides": [asdict(s) for s in ran]}
    (options.results / f"{name}.json").write_text(json.dumps(document, indent=1) + "\n")
    return 0 if _reached(ran[0], ran[1]) else 1


if __name__ == "__main__":
    sys.exit(main())
