"""The confusion matrix of the guards: every bad program gives exactly its kind at its place, every fixed twin nothing.

Each file of tests/targets says in its first lines what its bad input gives. Its twin is the same file with -DFIXED.
"""

import ast
import json
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from pydantic import TypeAdapter

from firedamp.building.build import build
from firedamp.finding import Detection
from firedamp.guards import judge
from firedamp.outcome import Outcome
from firedamp.run import Bench
from firedamp.target import InputMode, Limits, Profile, Target, TargetKind
from firedamp.trace.client import Executor

TARGETS = Path(__file__).parent.parent / "targets"
OUTCOMES = TARGETS.parent / "outcomes"
UPDATE = "FIREDAMP_UPDATE"  # set to 1: the outcomes seen here become those that tests/unit/test_guards.py judges
HEADER = re.compile(r"^/\* (bad|good|profile|cflags|program|limits): (.*) \*/$", re.MULTILINE)
PIECE = re.compile(r'("(?:[^"\\]|\\.)*")(?:\*(\d+))?')
VERDICT = re.compile(r"(.*) -> ([\w-]+)(?: in ([\w,]+))?")
KINDS = {
    *(
        "stack-smash",
        "fortify-overflow",
        "fortify-percent-n",
        "fortify-format-hole",
        "format-arguments",
        "heap-corruption",
        "glibc-fatal",
    ),
    *("assert", "abort", "segv-null", "segv-read", "segv-write", "segv-exec", "stack-exhaustion", "fpe", "ill", "bus"),
    *("timeout", "oom", "exit"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    name: str
    target: Target
    profile: Profile
    bad: bytes
    good: bytes
    kind: str  # "silence" where nothing is wrong
    functions: tuple[str, ...]


def read_case(path: Path) -> Case:
    facts = dict(HEADER.findall(path.read_text()))
    verdict = VERDICT.fullmatch(facts["bad"])
    assert verdict is not None, path
    limits = dict(word.split("=") for word in facts.get("limits", "").split())
    program = "program" in facts
    return Case(
        name=path.stem,
        target=Target(
            name=path.stem,
            kind=TargetKind.PROGRAM if program else TargetKind.HARNESS,
            root=TARGETS,
            sources=(path.name,),
            cflags=("-Wno-format-security", *facts.get("cflags", "").split()),
            args=("@@",) if program else (),
            input=InputMode.ARGV if program else InputMode.BUFFER,
            limits=Limits(**{name: ast.literal_eval(value) for name, value in limits.items()}),
        ),
        profile=Profile(facts.get("profile", "hardened")),
        bad=literal(verdict[1]),
        good=literal(facts["good"]),
        kind=verdict[2],
        functions=tuple(verdict[3].split(",")) if verdict[3] else (),
    )


def literal(text: str) -> bytes:
    """`"NAME" "A"*64` as bytes."""
    return b"".join(ast.literal_eval("b" + piece) * int(count or 1) for piece, count in PIECE.findall(text))


CASES = tuple(read_case(path) for path in sorted(TARGETS.glob("*.c")) if path.read_text().startswith("/* bad: "))


@pytest.fixture(scope="session")
def executor() -> Iterator[Executor]:
    with Executor() as one:
        yield one


@pytest.fixture(scope="session")
def builds(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One cache for all workers of pytest-xdist."""
    base = tmp_path_factory.getbasetemp()
    return (base.parent if base.name.startswith("popen-") else base) / "builds"


def functions(detection: Detection) -> tuple[str, ...]:
    return tuple(re.split(r"\+0x|:", place)[0] for place in detection.place)


def record(path: Path, outcome: Outcome) -> None:
    """One recorded sample: the outcome without this machine's folders, and what the guards say of it now."""
    text = TypeAdapter(Outcome).dump_json(
        replace(outcome, wall_s=0.5, cpu_s=0.5, peak_rss_bytes=0), exclude_defaults=True
    )
    portable = re.sub(rb'"/[^"]*/(replay|\w+\.[ch])"', rb'"/build/\1"', text)
    portable = re.sub(rb"/[^ \"()]*/replay", b"/build/replay", portable)
    said = [
        {"kind": one.kind, "cwe": one.cwe, "severity": one.severity, "place": one.place, "message": one.message}
        for one in judge(TypeAdapter(Outcome).validate_json(portable))
    ]
    path.write_text(json.dumps({"detections": said, "outcome": json.loads(portable)}, indent=1) + "\n")


@pytest.mark.needs("ptrace")
@pytest.mark.parametrize("compiler", [pytest.param(name, marks=pytest.mark.needs(name)) for name in ("gcc", "clang")])
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_each_kind_is_told_from_all_others(
    case: Case, compiler: str, executor: Executor, builds: Path, tmp_path: Path
) -> None:
    fixed = replace(case.target, cflags=(*case.target.cflags, "-DFIXED"))

    def run(target: Target, *inputs: bytes) -> list[Outcome]:
        made = build(target, case.profile, compiler=compiler, cache=builds, allow_unguarded=True)
        with Bench(target, made, workdir=tmp_path, executor=executor) as bench:
            return [bench.run_input(data) for data in inputs]

    outcomes = run(case.target, case.bad, case.good) + run(fixed, case.bad, case.good)
    if os.environ.get(UPDATE) == "1":
        record(OUTCOMES / f"{case.name}.{compiler}.json", outcomes[0])
    on_bad, on_good, fixed_on_bad, fixed_on_good = map(judge, outcomes)

    assert (on_good, fixed_on_bad, fixed_on_good) == ((), (), ())
    if case.kind == "silence":
        assert on_bad == ()
        return
    assert [detection.kind for detection in on_bad] == [case.kind]
    if case.functions:
        named = functions(on_bad[0])
        assert named and all(said == meant for said, meant in zip(named, case.functions, strict=False))


def test_every_kind_has_a_bad_program() -> None:
    assert {case.kind for case in CASES} >= KINDS
    assert any(case.kind == "silence" for case in CASES)
