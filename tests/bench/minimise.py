"""Minimising without drifting: firedamp's shrinker against libFuzzer's -minimize_crash=1 on the same inputs.

    python tests/bench/minimise.py [--seconds 5]

Both get the same source, clang, hardening flags, input and time. libFuzzer keeps what still crashes; ours what has
the same signature in a fresh process. What came out is judged by our replay for both. Where libFuzzer drifted its size
is that of another bug. Writes results/bench/minimise.md and minimise.json.
"""

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path

HERE = Path(__file__).parent
PROJECT = HERE.parent.parent
sys.path.insert(0, str(PROJECT / "tests" / "quality" / "drift"))

from cases import CASES, SOURCE, Case  # noqa: E402

from firedamp import guards  # noqa: E402
from firedamp.building.build import build  # noqa: E402
from firedamp.building.profiles import compile_flags  # noqa: E402
from firedamp.building.toolchain import choose  # noqa: E402
from firedamp.run import Bench  # noqa: E402
from firedamp.shrink import Budget, shrink  # noqa: E402
from firedamp.target import Profile, Target, TargetKind  # noqa: E402

CALLS = 100_000  # more than any budget of seconds allows


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    case: str
    bytes: int
    firedamp_bytes: int
    firedamp_drifted: bool
    firedamp_s: float
    replays_per_s: float
    libfuzzer_bytes: int
    libfuzzer_became: str  # the kind it ended with
    libfuzzer_drifted: bool


def signature(bench: Bench, data: bytes) -> tuple[str, str]:
    """Kind and signature; empty where nothing is wrong."""
    said = guards.judge(bench.run_input(data))
    return (said[0].kind, said[0].signature("drift")) if said else ("", "")


def ours(case: Case, bench: Bench, seconds: float) -> tuple[bytes, int, float]:
    _, wanted = signature(bench, case.data)
    calls = 0

    def same(value: bytes) -> bool:
        nonlocal calls
        calls += 1
        return signature(bench, value)[1] == wanted

    started = time.monotonic()
    smaller = shrink(case.data, same, Budget(calls=CALLS, seconds=seconds))
    return smaller, calls, time.monotonic() - started


def native(folder: Path) -> Path:
    compiler = choose("clang")
    flags = compile_flags(compiler, Profile.HARDENED, TargetKind.HARNESS, folder)
    program = folder / "native"
    subprocess.run([*compiler.command, *flags, "-fsanitize=fuzzer", SOURCE, "-o", program], check=True)
    return program


def theirs(case: Case, program: Path, folder: Path, seconds: float) -> bytes:
    given, smaller = folder / f"{case.name}.in", folder / f"{case.name}.out"
    given.write_bytes(case.data)
    subprocess.run(
        [program, "-minimize_crash=1", f"-max_total_time={seconds:.0f}", f"-exact_artifact_path={smaller}", given],
        cwd=folder,
        capture_output=True,
        env={**os.environ, "LC_ALL": "C"},
        timeout=60 + 10 * seconds,
    )
    return smaller.read_bytes() if smaller.exists() else case.data


def measure(case: Case, bench: Bench, program: Path, folder: Path, seconds: float) -> Row:
    _, wanted = signature(bench, case.data)
    mine, calls, took_s = ours(case, bench, seconds)
    other = theirs(case, program, folder, seconds)
    became, name = signature(bench, other)
    return Row(
        case=case.name,
        bytes=len(case.data),
        firedamp_bytes=len(mine),
        firedamp_drifted=signature(bench, mine)[1] != wanted,
        firedamp_s=round(took_s, 1),
        replays_per_s=round(calls / took_s),
        libfuzzer_bytes=len(other),
        libfuzzer_became=became or "nothing",
        libfuzzer_drifted=name != wanted,
    )


def table(rows: list[Row], facts: dict[str, object]) -> str:
    """Markdown."""
    lines = [
        "# Minimising without drifting",
        "",
        "| case | bytes | firedamp | s | replays/s | drifted | libFuzzer | became | drifted |",
        "|---|---|---|---|---|---|---|---|---|",
        *(
            f"| {row.case} | {row.bytes} | {row.firedamp_bytes} | {row.firedamp_s} | {row.replays_per_s} "
            f"| {'yes' if row.firedamp_drifted else 'no'} | {row.libfuzzer_bytes} | {row.libfuzzer_became} "
            f"| {'yes' if row.libfuzzer_drifted else 'no'} |"
            for row in rows
        ),
        "",
        "Sizes in bytes. Target: no drift of ours, and no larger than theirs where theirs is still the same bug.",
        "",
        *(f"- {name}: {value}" for name, value in facts.items()),
    ]
    return "\n".join(lines) + "\n"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else None)
    parser.add_argument("--seconds", type=float, default=5, help="for each case and side")
    parser.add_argument("--results", type=Path, default=PROJECT / "results" / "bench")
    options = parser.parse_args()
    target = Target(name="drift", kind=TargetKind.HARNESS, root=SOURCE.parent, sources=(SOURCE.name,))
    with tempfile.TemporaryDirectory(prefix="firedamp-bench-") as name:
        work = Path(name)
        made = build(target, Profile.HARDENED, compiler="clang", cache=work / "cache")
        program = native(work)
        (work / "room").mkdir()
        with Bench(target, made, workdir=work / "room") as bench:
            rows = [measure(case, bench, program, work, options.seconds) for case in CASES]
    facts: dict[str, object] = {
        "command": f"python tests/bench/minimise.py {' '.join(sys.argv[1:])}".strip(),
        "compiler": str(choose("clang")),
        "seconds for each": options.seconds,
        "kernel": platform.release(),
    }
    text = table(rows, facts)
    print(text, end="")
    options.results.mkdir(parents=True, exist_ok=True)
    (options.results / "minimise.md").write_text(text)
    document = {**facts, "rows": [asdict(row) for row in rows]}
    (options.results / "minimise.json").write_text(json.dumps(document, indent=1) + "\n")
    good = all(
        not row.firedamp_drifted and (row.libfuzzer_drifted or row.firedamp_bytes <= row.libfuzzer_bytes)
        for row in rows
    )
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
