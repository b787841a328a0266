"""Which crashes are one bug: our signature, ClusterFuzz's and the input's hash on one labelled set.

    python tests/bench/identity.py [--only mail ...] [--labels] [--clusterfuzz PYTHON] [--misses]

Replays every input of tests/quality/crashes in fresh processes of gcc's and of clang's build, and counts pairs of
crashes of one harness: precision is the share of pairs called one bug that are one, recall the share of pairs of one
bug that are called so. An input that shows nothing has no signature: it is counted, and its pairs are lost. `across`
also pairs gcc's crashes with clang's. `--labels` proves the labels first: with its bug's fix alone an input is silent,
with every other fix it is not. ClusterFuzz (PyPI) needs a Python of its own, which `--clusterfuzz` names; it is shown
what clang's libFuzzer prints for the same input, in the hardened build and in AddressSanitizer's.
Writes results/bench/identity.md and identity.json.
"""

import argparse
import hashlib
import json
import os
import platform
import subprocess
import sys
import tempfile
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path

HERE = Path(__file__).parent
PROJECT = HERE.parent.parent
sys.path.insert(0, str(PROJECT / "tests" / "quality" / "crashes"))

import recipes  # noqa: E402
from recipes import Bug  # noqa: E402

from firedamp import guards  # noqa: E402
from firedamp.building.build import build  # noqa: E402
from firedamp.building.profiles import compile_flags  # noqa: E402
from firedamp.building.toolchain import choose  # noqa: E402
from firedamp.outcome import Outcome  # noqa: E402
from firedamp.run import Bench  # noqa: E402
from firedamp.target import MEBIBYTE, Build, Limits, Profile, Target, TargetKind  # noqa: E402

GOAL = 0.99
NATIVE_LIMIT_S = 6
COMPILERS = ("gcc", "clang")
PATTERN = "%s/%s"


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """One crash as somebody names it. `signature` is None where nothing was seen."""

    bug: str  # harness/NAME
    compiler: str
    number: int
    signature: str | None

    @property
    def harness(self) -> str:
        return self.bug.split("/")[0]


@dataclass(frozen=True, slots=True, kw_only=True)
class Score:
    precision: float
    recall: float
    silent: int
    samples: int
    split: tuple[str, ...]  # bugs with several signatures, the largest pile left out
    merged: tuple[str, ...]  # bugs that share a signature


def score(samples: Iterable[Sample]) -> Score:
    kept = list(samples)
    true = called = right = 0
    for one, other in combinations(kept, 2):
        if one.harness != other.harness:
            continue
        same_bug = one.bug == other.bug
        same_name = one.signature is not None and one.signature == other.signature
        true += same_bug
        called += same_name
        right += same_bug and same_name
    return Score(
        precision=right / called if called else 1.0,
        recall=right / true if true else 1.0,
        silent=sum(sample.signature is None for sample in kept),
        samples=len(kept),
        split=_split(kept),
        merged=_merged(kept),
    )


def _split(samples: list[Sample]) -> tuple[str, ...]:
    piles: dict[str, Counter[str | None]] = defaultdict(Counter)
    for sample in samples:
        piles[sample.bug][sample.signature] += 1
    return tuple(
        f"{bug}: {' + '.join(str(count) for _, count in pile.most_common())}"
        for bug, pile in piles.items()
        if len(pile) > 1
    )


def _merged(samples: list[Sample]) -> tuple[str, ...]:
    bugs: dict[tuple[str, str], set[str]] = defaultdict(set)
    for sample in samples:
        if sample.signature is not None:
            bugs[sample.harness, sample.signature].add(sample.bug)
    return tuple(sorted({" = ".join(sorted(each)) for each in bugs.values() if len(each) > 1}))


def target(bug: Bug, *flags: str) -> Target:
    return Target(
        name=bug.harness,
        kind=TargetKind.HARNESS,
        root=recipes.HERE,
        sources=(f"{bug.harness}.c",),
        cflags=("-Wno-format-security", *flags),
        limits=Limits(wall_s=bug.wall_s, cpu_s=bug.wall_s, memory_bytes=bug.memory_mib * MEBIBYTE),
    )


def profile(bug: Bug) -> Profile:
    return Profile.ASAN if bug.asan else Profile.HARDENED


def made(bug: Bug, compiler: str, cache: Path, *flags: str) -> Build:
    return build(target(bug, *flags), profile(bug), compiler=compiler, cache=cache, allow_unguarded=True)


def outcomes(bug: Bug, compiler: str, cache: Path, *flags: str) -> list[Outcome]:
    """Of each input, in a fresh process; with -DFIXED or -DONLY among the flags, of a repaired harness."""
    its = made(bug, compiler, cache, *flags)
    with tempfile.TemporaryDirectory() as room, Bench(its.target, its, workdir=Path(room)) as bench:
        return [bench.run_input(data) for data in bug.inputs()]


def ours(bug: Bug, compiler: str, cache: Path, say: Callable[[str], None]) -> Iterator[Sample]:
    for number, outcome in enumerate(outcomes(bug, compiler, cache)):
        found = guards.judge(outcome)
        signature = found[0].signature(bug.harness) if found else None
        say(f"{bug.harness}/{bug.name} {compiler} {number}: {signature!r}")
        yield Sample(bug=_name(bug), compiler=compiler, number=number, signature=signature)


def hashed(bug: Bug, compiler: str) -> Iterator[Sample]:
    for number, data in enumerate(bug.inputs()):
        yield Sample(bug=_name(bug), compiler=compiler, number=number, signature=hashlib.sha256(data).hexdigest())


def _name(bug: Bug) -> str:
    return PATTERN % (bug.harness, bug.name)


def wrong_labels(bugs: Iterable[Bug], compiler: str, cache: Path) -> list[str]:
    """What contradicts a label: an input that its bug's fix does not silence, or that other fixes do."""
    problems = []
    for bug in bugs:
        for flag, expected in ((f"-DFIXED={bug.name}", False), (f"-DONLY={bug.name}", True)):
            for number, outcome in enumerate(outcomes(bug, compiler, cache, flag)):
                if bool(guards.judge(outcome)) is not expected:
                    said = "crashes" if not expected else "is silent"
                    problems.append(f"{_name(bug)}: input {number} {said} with {flag} ({compiler})")
    return problems


def native(harness: str, folder: Path, *, asan: bool) -> Path:
    """The same source with clang's own libFuzzer, as its manual says; or with our hardening in place of ASan."""
    compiler = choose("clang")
    flags = (
        ("-g", "-O1", "-fno-omit-frame-pointer", "-fsanitize=address,undefined", "-fno-sanitize-recover=undefined")
        if asan
        else compile_flags(compiler, Profile.HARDENED, TargetKind.HARNESS, folder)
    )
    program = folder / f"{harness}-{'asan' if asan else 'hardened'}"
    source = str(recipes.HERE / f"{harness}.c")
    quiet = ("-Wno-format-security", "-fsanitize=fuzzer")
    subprocess.run([*compiler.command, *flags, *quiet, source, "-o", program], check=True)
    return program


def native_words(bug: Bug, program: Path) -> list[str]:
    """What libFuzzer prints when it is given each input alone; empty where it went through."""
    words = []
    with tempfile.TemporaryDirectory() as folder:
        for data in bug.inputs():
            path = Path(folder, "input")
            path.write_bytes(data)
            words.append(_said([program, "-timeout=2", f"-rss_limit_mb={max(bug.memory_mib, 128)}", path], folder))
    return words


def _said(command: list[str | Path], folder: str) -> str:
    """libFuzzer's own report deadlocks now and then, where malloc holds its lock: what was said until then counts."""
    said = Path(folder, "said")
    with said.open("wb") as stream:
        process = subprocess.Popen(command, cwd=folder, stdout=stream, stderr=stream, env={**os.environ, "LC_ALL": "C"})
        try:
            status = process.wait(NATIVE_LIMIT_S)
        except subprocess.TimeoutExpired:
            process.kill()
            status = process.wait()
    return said.read_bytes().decode("utf-8", "replace") if status else ""


def clusterfuzz(bugs: list[Bug], python: Path, work: Path, *, asan: bool) -> list[Sample]:
    programs = {harness: native(harness, work, asan=asan) for harness in {bug.harness for bug in bugs}}
    words = [
        (bug, number, text) for bug in bugs for number, text in enumerate(native_words(bug, programs[bug.harness]))
    ]
    run = subprocess.run(
        [python, "-W", "ignore", HERE / "clusterfuzz_state.py"],
        input=json.dumps([text for _, _, text in words]),
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    return [
        Sample(bug=_name(bug), compiler="clang", number=number, signature=state)
        for (bug, number, _), state in zip(words, json.loads(run.stdout), strict=True)
    ]


def scores(bugs: list[Bug], options: argparse.Namespace, work: Path) -> dict[str, Score]:
    say: Callable[[str], None] = print if options.misses else lambda words: None
    samples = {
        compiler: [sample for bug in bugs for sample in ours(bug, compiler, work / "cache", say)]
        for compiler in COMPILERS
    }
    found = {f"firedamp, {compiler}": score(those) for compiler, those in samples.items()}
    found["firedamp, across"] = score([sample for those in samples.values() for sample in those])
    found["hash of the input"] = score(sample for bug in bugs for sample in hashed(bug, "any"))
    if options.clusterfuzz is not None:
        found["ClusterFuzz, hardened"] = score(clusterfuzz(bugs, options.clusterfuzz, work, asan=False))
        found["ClusterFuzz, ASan"] = score(clusterfuzz(bugs, options.clusterfuzz, work, asan=True))
    return found


def table(found: dict[str, Score], facts: dict[str, object]) -> str:
    """Markdown."""
    lines = [
        "# One bug, one name: pairwise precision and recall",
        "",
        "| who | precision | recall | crashes | unseen | bugs split | bugs merged |",
        "|---|---|---|---|---|---|---|",
        *(
            f"| {who} | {one.precision:.3f} | {one.recall:.3f} | {one.samples} | {one.silent} | {len(one.split)} "
            f"| {len(one.merged)} |"
            for who, one in found.items()
        ),
        "",
        f"Target: precision and recall >= {GOAL}. What an input shows nothing of is unseen, and lost for recall.",
        "",
        "## Misses",
        "",
    ]
    for who, one in found.items():
        if who.startswith("hash"):
            continue
        lines += [f"- {who}", *(f"  - split: {each}" for each in one.split), *(f"  - merged: {m}" for m in one.merged)]
    lines += ["", *(f"- {name}: {value}" for name, value in facts.items())]
    return "\n".join(lines) + "\n"


def facts(bugs: list[Bug], options: argparse.Namespace) -> dict[str, object]:
    return {
        "command": "python tests/bench/identity.py" + (" --clusterfuzz PYTHON" if options.clusterfuzz else ""),
        "bugs": len(bugs),
        "inputs of each": recipes.INPUTS,
        "behind a comparison of 4 bytes or three conditions": sum(bug.gated for bug in bugs),
        "pairs of bugs that share a function or a message": len(recipes.PAIRS),
        "compilers": ", ".join(str(choose(name)) for name in COMPILERS),
        "kernel": platform.release(),
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else None)
    parser.add_argument("--only", nargs="*", help="harnesses")
    parser.add_argument("--labels", action="store_true", help="prove the labels, and measure nothing")
    parser.add_argument("--clusterfuzz", type=Path, metavar="PYTHON", help="one that has ClusterFuzz installed")
    parser.add_argument("--misses", action="store_true", help="print each signature")
    parser.add_argument("--results", type=Path, default=PROJECT / "results" / "bench")
    options = parser.parse_args()
    bugs = [bug for bug in recipes.BUGS if not options.only or bug.harness in options.only]
    with tempfile.TemporaryDirectory(prefix="firedamp-bench-") as name:
        work = Path(name)
        if options.labels:
            problems = [words for compiler in COMPILERS for words in wrong_labels(bugs, compiler, work / "cache")]
            print("\n".join(problems) or f"all {len(bugs) * recipes.INPUTS} labels hold with {' and '.join(COMPILERS)}")
            return 1 if problems else 0
        found = scores(bugs, options, work)
    known = facts(bugs, options)
    text = table(found, known)
    print(text, end="")
    if not options.only:
        options.results.mkdir(parents=True, exist_ok=True)
        (options.results / "identity.md").write_text(text)
        rows = {who: {field: getattr(one, field) for field in Score.__slots__} for who, one in found.items()}
        (options.results / "identity.json").write_text(json.dumps({**known, "scores": rows}, indent=1) + "\n")
    return 0 if all(min(one.precision, one.recall) >= GOAL for who, one in found.items() if "firedamp" in who) else 1


if __name__ == "__main__":
    sys.exit(main())
