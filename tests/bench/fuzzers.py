"""The other fuzzers that the benches run beside firedamp: native libFuzzer and AFL++ in persistent mode.

Both get a target's sources with the flags of firedamp's hardened profile (compiler, -O, canaries, FORTIFY); each brings
its own coverage. What is called a crash here is an input that the fuzzer kept as one, and when it was kept.
"""

import os
import re
import subprocess
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from firedamp.building.profiles import compile_flags
from firedamp.building.toolchain import Compiler
from firedamp.target import Profile, Target

AFL = "afl-clang-fast"
PATIENCE_S = 10  # after its time, for a fuzzer to end by itself

# libFuzzer's own coverage; AFL++ brings another.
LIBFUZZER_ONLY = ("-fsanitize=fuzzer-no-link", "-fno-sanitize-coverage=stack-depth")

# AFL++'s docs/env_variables.md. Without them it asks for changes of the machine, takes a core of its own choice, and
# optimises more than the others.
AFL_RUN = {
    "AFL_SKIP_CPUFREQ": "1",
    "AFL_I_DONT_CARE_ABOUT_MISSING_CRASHES": "1",
    "AFL_NO_AFFINITY": "1",
    "AFL_NO_UI": "1",
}
AFL_BUILD = {"AFL_DONT_OPTIMIZE": "1", "AFL_QUIET": "1"}

FORK_RUNS = re.compile(r"^#(\d+): cov: ", re.MULTILINE)
AFL_CRASH = re.compile(r"id:\d+,.*\btime:(\d+)\b")  # milliseconds


@dataclass(frozen=True, slots=True, kw_only=True)
class Crash:
    path: Path
    after_s: float  # since the fuzzer was started


@dataclass(frozen=True, slots=True, kw_only=True)
class Heard:
    """What a fuzzer left behind."""

    executions: int
    wall_s: float
    crashes: tuple[Crash, ...]  # the earliest first


def native(target: Target, compiler: Compiler, folder: Path, *, stock: bool = False) -> Path:
    """An executable with the compiler's own libFuzzer, whose hooks on string functions are interceptors.

    `stock`: compiled with -fsanitize=fuzzer on top, as its manual says.
    """
    flags = compile_flags(compiler, Profile.HARDENED, target.kind, folder)
    more = ("-fsanitize=fuzzer",) if stock else ()
    return _made([*compiler.command, *flags, *more], target, folder, {}, "native")


def afl(target: Target, compiler: Compiler, folder: Path, *, cmplog: bool = False) -> Path:
    """An executable with AFL++'s persistent loop (libAFLDriver) around the target."""
    flags = compile_flags(compiler, Profile.HARDENED, target.kind, folder)
    wanted = [flag for flag in flags if flag not in LIBFUZZER_ONLY]
    environment = {**AFL_BUILD, **({"AFL_LLVM_CMPLOG": "1"} if cmplog else {})}
    return _made([AFL, *wanted], target, folder, environment, "cmplog" if cmplog else "afl")


def _made(command: list[str], target: Target, folder: Path, environment: dict[str, str], name: str) -> Path:
    objects = folder / f"{name}-objects"
    objects.mkdir(parents=True)
    sources = [str(path) for pattern in target.sources for path in sorted(target.root.glob(pattern))]
    includes = [f"-I{target.root / flag[2:]}" if flag.startswith("-I") else flag for flag in target.cflags]
    everything = {**os.environ, **environment}
    subprocess.run([*command, *includes, "-w", "-c", *sources], cwd=objects, env=everything, check=True)
    subprocess.run(
        [command[0], *sorted(objects.glob("*.o")), "-fsanitize=fuzzer", *target.ldflags, "-o", folder / name],
        env=everything,
        check=True,
    )
    return folder / name


def run_native(program: Path, seeds: Path, folder: Path, *, seconds: int, seed: int, max_len: int) -> Heard:
    """-fork=1 -ignore_crashes=1: libFuzzer's own way of going on after a crash."""
    corpus, crashes = folder / "native-corpus", folder / "native-crashes"
    corpus.mkdir(parents=True)
    crashes.mkdir()
    argv: list[str | Path] = [
        *(program, "-fork=1", "-ignore_crashes=1", "-ignore_timeouts=1", "-ignore_ooms=1", "-detect_leaks=0"),
        *(f"-max_total_time={seconds}", f"-seed={seed}", f"-max_len={max_len}", f"-artifact_prefix={crashes}/"),
        *(corpus, seeds),
    ]
    started = time.time()
    text = said(argv, seconds, {})
    wall_s = time.time() - started
    runs = [int(number) for number in FORK_RUNS.findall(text)]
    kept = [Crash(path=path, after_s=path.stat().st_mtime - started) for path in crashes.glob("crash-*")]
    return Heard(executions=max(runs, default=0), wall_s=wall_s, crashes=_in_order(kept))


def run_afl(program: Path, seeds: Path, folder: Path, *, seconds: int, seed: int, max_len: int) -> Heard:
    """AFL++ goes on after a crash by itself; it keeps those that took a path of their own."""
    out = folder / "afl-out"
    argv: list[str | Path] = [
        *("afl-fuzz", "-i", seeds, "-o", out, "-V", str(seconds), "-s", str(seed), "-G", str(max_len)),
        *("--", program),
    ]
    started = time.monotonic()
    said(argv, seconds, AFL_RUN)
    wall_s = time.monotonic() - started
    stats = out / "default" / "fuzzer_stats"
    facts = dict(re.findall(r"^(\w+)\s*: (.*)$", stats.read_text(), re.MULTILINE)) if stats.exists() else {}
    return Heard(
        executions=int(facts.get("execs_done", 0)),
        wall_s=wall_s,
        crashes=_in_order(
            Crash(path=path, after_s=int(at[1]) / 1000)
            for path in (out / "default" / "crashes").glob("id:*")
            if (at := AFL_CRASH.match(path.name))
        ),
    )


def said(argv: list[str | Path], seconds: int, environment: dict[str, str]) -> str:
    """Both streams. A fuzzer that does not end by itself is ended, with its children."""
    process = subprocess.Popen(
        argv,
        env={**os.environ, **environment},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        start_new_session=True,
    )
    try:
        return process.communicate(timeout=seconds + PATIENCE_S)[0]
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, 9)
        return process.communicate()[0]


def _in_order(crashes: Iterable[Crash]) -> tuple[Crash, ...]:
    return tuple(sorted(crashes, key=lambda crash: crash.after_s))


def afl_version() -> str:
    """As in 4.04c."""
    greeting = subprocess.run(["afl-fuzz"], capture_output=True, text=True).stdout
    found = re.search(r"\+\+([\w.]+)", greeting)
    return found[1] if found else "unknown"
