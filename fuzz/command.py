"""How a target is run: with one input in a fresh process, and in the plan of a fuzzing child."""

import sys
from dataclasses import replace
from pathlib import Path
from typing import assert_never

from firedamp.building.build import MUTATOR
from firedamp.errors import UsageError
from firedamp.run import Bench
from firedamp.target import Build, InputMode, Target, TargetKind
from fuzz import structure
from fuzz.plan import Plan


def fresh(target: Target, build: Build | None) -> Bench:
    """Runs single inputs in fresh processes: the build itself or, for a Python harness, the interpreter with a file."""
    if target.kind is not TargetKind.PYTHON:
        return Bench(target, build)
    words = (sys.executable, "-P", "-m", "fuzz.harness", "--root", str(target.root), _harness(target))
    return Bench(replace(target, input=InputMode.BUFFER), build, command=words)


def plan(
    target: Target,
    build: Build | None,
    *,
    folder: Path,
    corpus: Path,
    work: Path | None = None,
    sample: int = 1,
    survive: bool = True,
) -> Plan:
    """The plan of one fuzzing child; UsageError where the target cannot be fuzzed.

    The target runs in `work` (by default an empty folder); what else it needs lies in `folder`, which is ours alone.
    """
    work, spool = work or folder / "work", folder / "spool"
    for place in (work, spool):
        place.mkdir(parents=True, exist_ok=True)
    common = Plan(
        kind=target.kind,
        folder=str(work),
        spool=str(spool),
        writable=(str(folder), str(work), str(corpus)),
        output_bytes=target.limits.output_bytes,
        sample=sample,
        structure=_structure(target),
        is_strategy=target.strategy is not None,
        structure_period=target.mutate_one_in,
        private=str(folder),
        root=str(target.root),
        wall_s=target.limits.wall_s,
        cpu_s=target.limits.cpu_s,
    )
    match target.kind:
        case TargetKind.HARNESS:
            library = _library(target, build)
            return replace(common, library=str(library), mutator=_mutator(library), survive=survive)
        case TargetKind.PROGRAM:
            if build is None:
                raise UsageError(f"target {target.name!r}: has sources but no build; build it first")
            argv = (str(build.executable), *target.args)
            return replace(
                common,
                command=argv,
                input=_mode(target, argv),
                covered=build.proof.coverage,
                mutator=_mutator(build.executable),
            )
        case TargetKind.COMMAND:
            return replace(common, command=target.command, input=_mode(target, target.command))
        case TargetKind.PYTHON:
            return replace(common, harness=_harness(target))
        case _:
            assert_never(target.kind)


def _structure(target: Target) -> str | None:
    where = f"target {target.name!r}"
    if target.mutator is not None and target.strategy is not None:
        raise UsageError(f"{where}: has a mutator and a strategy; leave one of them out")
    name = target.mutator or target.strategy
    if name is not None and target.kind not in {TargetKind.HARNESS, TargetKind.PROGRAM}:
        raise UsageError(f"{where}: {name!r} cannot be used: a mutator or a strategy is for C sources; leave it out")
    if name is not None:
        structure.check(name, target.root)
    return name


def _mutator(made: Path) -> str | None:
    """Beside what was built; a build that is not hardened has none."""
    path = made.with_name(MUTATOR)
    return str(path) if path.exists() else None


def _library(target: Target, build: Build | None) -> Path:
    if build is None or build.library is None:
        raise UsageError(f"target {target.name!r}: was built without the library that libFuzzer drives; build it again")
    return build.library


def _mode(target: Target, argv: tuple[str, ...]) -> InputMode:
    match target.input:
        case InputMode.STDIN:
            return InputMode.STDIN
        case InputMode.FILE | InputMode.ARGV:
            if not any("@@" in word for word in argv[1:]):
                raise UsageError(
                    f"target {target.name!r}: input {str(target.input)!r} needs @@ in its arguments; add it"
                )
            return target.input
        case InputMode.BUFFER | InputMode.NONE:
            return InputMode.FILE if any("@@" in word for word in argv[1:]) else InputMode.STDIN
        case _:
            assert_never(target.input)


def _harness(target: Target) -> str:
    if target.harness is None or not all(target.harness.partition(":")):
        raise UsageError(
            f'target {target.name!r}: harness {target.harness!r} is not of the form "package.module:function"'
        )
    return target.harness
