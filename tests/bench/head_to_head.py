"""Who finds which seeded error-handling bug: `firedamp sweep`, a strace loop and libfiu's fiu-run, side by side.

    python tests/bench/head_to_head.py [--only NAME ...] [--peers firedamp,strace,fiu] [--budget 60] [--timeout 2]

The programs are errors/*.c; errors/suite.toml says what each needs and what it hides. Each is built twice, with its bug
and with -DFIXED, and each tool runs on both. firedamp is believed when a finding (or, counted apart, a hint) of a kind
that the table accepts stands at a seeded function; the peers are judged by peers.py, which asks less. What the twin
shows in the same way is no credit to anybody, and all that is said of a twin is a false alarm.
Writes results/bench/head-to-head.md and .json, after each program, so that Ctrl-C keeps what was measured.
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
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from fnmatch import fnmatch
from pathlib import Path

import peers
from peers import Case, Limits

HERE = Path(__file__).parent
PROJECT = HERE.parent.parent
SUITE = HERE / "errors"
FIREDAMP = (sys.executable, "-m", "firedamp")
TOOLS = ("firedamp", "strace", "fiu")


@dataclass(frozen=True, slots=True, kw_only=True)
class Program:
    """One table of suite.toml."""

    name: str
    bug: str  # `class` in the table
    depth: str = ""
    setup: str = ""
    stdin: str = ""
    functions: tuple[str, ...]
    kinds: tuple[str, ...]
    flags: tuple[str, ...] = ()
    provoke: str
    by_hand: str

    def hides(self, kind: str, function: str | None) -> bool:
        return function in self.functions and any(fnmatch(kind, accepted) for accepted in self.kinds)


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """What one tool said of one binary: of a peer each sign counts, of firedamp one of the right kind and place."""

    signs: frozenset[str] = frozenset()
    hints: frozenset[str] = frozenset()
    other: frozenset[str] = frozenset()
    runs: int = 0
    whole: bool = True
    refused: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """One tool on one program and its twin."""

    verdict: str  # found | hint | missed | refused
    signs: list[str]
    elsewhere: list[str]  # findings on the bug that are not the seeded one
    false_alarms: list[str]  # on the twin
    runs: int
    wall_s: float
    whole: bool
    refused: str


def suite() -> dict[str, Program]:
    tables = tomllib.loads((SUITE / "suite.toml").read_text())
    return {name: _program(name, table) for name, table in tables.items()}


def _program(name: str, table: dict[str, object]) -> Program:
    facts = {key: tuple(value) if isinstance(value, list) else value for key, value in table.items()}
    return Program(name=name, bug=facts.pop("class"), **facts)  # type: ignore[arg-type]


def prepare(program: Program, work: Path) -> tuple[Case, Case]:
    """The bug and its twin."""
    folder = work / program.name / "folder"
    folder.mkdir(parents=True)
    subprocess.run(["sh", "-c", program.setup], cwd=folder, check=True)
    return _built(program, folder, "bug"), _built(program, folder, "twin", "-DFIXED")


def _built(program: Program, folder: Path, place: str, *flags: str) -> Case:
    binary = folder.parent / place / program.name
    binary.parent.mkdir()
    subprocess.run(["cc", "-O1", "-g", *flags, SUITE / f"{program.name}.c", "-o", binary], check=True)
    return Case(binary=binary, folder=folder, stdin=program.stdin)


def look(tool: str, program: Program, case: Case, limits: Limits) -> Seen:
    if tool == "firedamp":
        return firedamp(program, case, limits)
    heard = peers.strace(case, limits) if tool == "strace" else peers.fiu(case, limits)
    return Seen(signs=heard.signs, runs=heard.runs, whole=heard.whole)


def firedamp(program: Program, case: Case, limits: Limits) -> Seen:
    stdin = ["--stdin", case.stdin] if case.stdin else []
    options = ["--json", "--time", f"{max(1, int(limits.budget_s))}s", *program.flags, *stdin]
    with tempfile.TemporaryDirectory(prefix="head-") as results:
        ended = subprocess.run(
            [*FIREDAMP, "sweep", *options, "--workdir", case.folder, "--results", results, "--", case.binary],
            capture_output=True,
            text=True,
            check=False,
        )
    if ended.returncode not in (0, 1):
        return Seen(whole=False, refused=(ended.stderr.strip().splitlines() or ["no word"])[-1])
    said = json.loads(ended.stdout)
    confirmed = [one for one in said["findings"] if one["state"] != "unconfirmed"]
    right = [one for one in confirmed if program.hides(one["kind"], one["function"])]
    return Seen(
        signs=frozenset(map(_at, right)),
        hints=frozenset(_at(one) for one in said["hinted"] if program.hides(one["kind"], one["function"])),
        other=frozenset(_at(one) for one in confirmed if one not in right),
        runs=said["runs"],
        whole=said["complete"],
    )


def _at(said: dict[str, str]) -> str:
    return f"{said['kind']} in {said['function']}"


def measure(tool: str, program: Program, bug: Case, twin: Case, limits: Limits) -> Cell:
    started = time.monotonic()
    seen, sound = look(tool, program, bug, limits), look(tool, program, twin, limits)
    signs, hints = seen.signs - sound.signs, seen.hints - sound.hints
    return Cell(
        verdict="refused" if seen.refused else "found" if signs else "hint" if hints else "missed",
        signs=sorted(signs or hints)[:5],
        elsewhere=sorted(seen.other),
        false_alarms=sorted(sound.signs | sound.other),
        runs=seen.runs + sound.runs,
        wall_s=round(time.monotonic() - started, 2),
        whole=seen.whole and sound.whole,
        refused=seen.refused,
    )


Rows = dict[str, dict[str, Cell]]
TOTALS = ("found", "hint", "missed", "refused", "twins with false alarms", "false alarms", "runs", "seconds")


def table(rows: Rows, programs: dict[str, Program], tools: Sequence[str], facts: dict[str, object]) -> str:
    """Markdown."""
    lines = [
        "# Seeded error-handling bugs: who finds which",
        "",
        f"| program | what is seeded | {' | '.join(tools)} |",
        "|---" * (2 + len(tools)) + "|",
        *(
            f"| {name} | {programs[name].bug}{_depth(programs[name])} | {' | '.join(map(_cell, cells.values()))} |"
            for name, cells in rows.items()
        ),
        "",
        "A cell: the verdict, `fa` with the number of false alarms on the fixed twin, (runs and seconds of both).",
        "`+`: the budget ended it. Flags are firedamp's, which must name a right kind at a right function; of a peer's",
        "runs one must end badly, and not so on the twin. `mmap` and `brk`, where strace finds most of its alarms,",
        "serve the loader too.",
        "",
        f"| total of {len(rows)} | {' | '.join(tools)} |",
        "|---" * (1 + len(tools)) + "|",
        *(
            f"| {what} | {' | '.join(_total(what, [cells[tool] for cells in rows.values()]) for tool in tools)} |"
            for what in TOTALS
        ),
        "",
        *(_missed(rows, tool) for tool in tools),
        *(
            f"- firedamp's false alarm on {name}: {alarm}"
            for name, cells in rows.items()
            if "firedamp" in cells
            for alarm in cells["firedamp"].false_alarms
        ),
        "",
        *(f"- {name}: {value}" for name, value in facts.items()),
    ]
    return "\n".join(lines) + "\n"


def _depth(program: Program) -> str:
    flags = f" `{' '.join(program.flags)}`" if program.flags else ""
    return f" ({program.depth}){flags}" if program.depth else flags


def _cell(cell: Cell) -> str:
    alarms = f" fa {len(cell.false_alarms)}" if cell.false_alarms else ""
    verdict = "**found**" if cell.verdict == "found" else cell.verdict
    return f"{verdict}{alarms} ({cell.runs}, {cell.wall_s:.1f}{'' if cell.whole else '+'})"


def _total(what: str, cells: list[Cell]) -> str:
    match what:
        case "twins with false alarms":
            return str(sum(bool(cell.false_alarms) for cell in cells))
        case "false alarms":
            return str(sum(len(cell.false_alarms) for cell in cells))
        case "runs":
            return f"{sum(cell.runs for cell in cells):,}"
        case "seconds":
            return f"{sum(cell.wall_s for cell in cells):,.0f}"
        case verdict:
            return str(sum(cell.verdict == verdict for cell in cells))


def _missed(rows: Rows, tool: str) -> str:
    names = [name for name, cells in rows.items() if cells[tool].verdict not in ("found", "hint")]
    return f"- {tool} misses: {', '.join(names) or 'nothing'}"


def facts(options: argparse.Namespace) -> dict[str, object]:
    def said(*command: str) -> str:
        return subprocess.run(command, capture_output=True, text=True, check=False).stdout.partition("\n")[0]

    return {
        "command": f"python tests/bench/head_to_head.py {' '.join(sys.argv[1:])}".strip(),
        "limits": f"{options.budget:g} s for each tool and binary, {options.timeout:g} s for a peer's run",
        "firedamp": said("git", "-C", str(HERE), "describe", "--always", "--dirty"),
        "strace": said("strace", "--version"),
        "libfiu": said("dpkg-query", "-W", "fiu-utils"),
        "compiler": f"{said('cc', '--version')}, -O1 -g",
        "machine": f"{os.cpu_count()} cores, {platform.system()} {platform.release()} {platform.machine()}",
        "libc": " ".join(platform.libc_ver()),
        "user": "root" if os.geteuid() == 0 else "not root",
    }


def publish(rows: Rows, programs: dict[str, Program], options: argparse.Namespace) -> None:
    known = facts(options)
    options.results.mkdir(parents=True, exist_ok=True)
    (options.results / "head-to-head.md").write_text(table(rows, programs, options.peers, known))
    document = {
        **known,
        "rows": {name: {tool: asdict(cell) for tool, cell in row.items()} for name, row in rows.items()},
    }
    (options.results / "head-to-head.json").write_text(json.dumps(document, indent=1) + "\n")


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else None)
    parser.add_argument("--only", nargs="*", metavar="NAME", choices=sorted(suite()), help="programs")
    parser.add_argument("--peers", type=lambda text: text.split(","), default=TOOLS, help=",".join(TOOLS))
    parser.add_argument("--budget", type=float, default=60, help="seconds for each tool and binary")
    parser.add_argument("--timeout", type=float, default=2, help="seconds after which a peer's run hangs")
    parser.add_argument("--results", type=Path, default=PROJECT / "results" / "bench")
    options = parser.parse_args()
    if strange := set(options.peers) - set(TOOLS):
        parser.error(f"--peers: {', '.join(sorted(strange))} is none of {', '.join(TOOLS)}")
    return options


def main() -> int:
    options = arguments()
    programs = {name: program for name, program in suite().items() if not options.only or name in options.only}
    limits = Limits(budget_s=options.budget, timeout_s=options.timeout)
    rows: Rows = {}
    with tempfile.TemporaryDirectory(prefix="head-to-head-") as work:
        try:
            for program in programs.values():
                bug, twin = prepare(program, Path(work))
                row = {}
                for tool in options.peers:
                    row[tool] = measure(tool, program, bug, twin, limits)
                    print(f"{program.name}: {tool}: {_cell(row[tool])}", file=sys.stderr)
                rows[program.name] = row
                publish(rows, programs, options)
        except KeyboardInterrupt:
            print("interrupted; what was measured is kept", file=sys.stderr)
            return 130
    print((options.results / "head-to-head.md").read_text(), end="")
    return 0


if __name__ == "__main__":
    sys.exit(main())
