"""What an injected fault costs: firedamp, strace and the plain program, side by side in one run.

    python tests/bench/injection.py [--rounds 200] [--core 1] [--only WORD...] [--quick]

The sides take turns on one core (as under taskset, LC_ALL=C), and a figure is the median of its turns. The plain
program is posix_spawn(3) and waitpid(2) from Python, with streams in memory: what no injector can go below, but by a
snapshot. Of the rows, `run` is one run in a bench that stands ready, as a sweep makes them; `judged` is that run with
its policy as text, the folder before and after, and the oracles; `stop` is the time that each stop adds to its call;
`sweep` is a search with one worker against as many plain runs, and beside it a shell script of strace commands with
the same faults; `cold` is a command from its start to its end.
Writes results/bench/injection.md and injection.json.
"""

import argparse
import json
import os
import platform
import re
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Final

from firedamp import guards
from firedamp.engine import Job, Progress
from firedamp.run import Bench
from firedamp.target import InputMode, Target, TargetKind
from inject import ENGINE
from inject.decide.decider import Decider
from inject.faulted import faulted
from inject.observe.clean import Clean, observe
from inject.policy import parse
from inject.sweeps import plan

PROJECT = Path(__file__).parents[2]
STOPS = PROJECT / "tests" / "system" / "stops.py"
ENVIRONMENT: Final = {"PATH": os.environ["PATH"], "LC_ALL": "C", "HOME": "/nonexistent"}
PLAIN, OURS, STRACE_BPF, STRACE = "plain", "firedamp", "strace --seccomp-bpf", "strace"
LATE: Final = 65_535  # the largest `when` of strace 6.1: a rule that stops each call and strikes none
MOST_FAULTS: Final = 60  # of one command: a loop of strace takes its time
CHILDREN: Final = 12
SWEPT: Final = {
    "cat": ("cat", "in.txt"),
    "sort": ("sort", "-o", "sorted.txt", "in.txt"),
    "a C program": ("./copy", "in.txt", "out.txt"),
}
COPY: Final = """#include <stdio.h>
int main(int count, char **words) {
  FILE *from = fopen(words[1], "r"), *to = fopen(words[2], "w");
  char line[256];
  if (count != 3 || !from || !to) return 1;
  while (fgets(line, sizeof line, from)) if (fputs(line, to) < 0) return 2;
  if (ferror(from) || fclose(to)) return 3;
  return 0;
}
"""
MAKEFILE: Final = "all: a b c d\na b c d: in.txt\n\t@cp in.txt $@\n"

Act = Callable[[], object]


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """Microseconds (medians) by side, each of one `unit`."""

    group: str
    work: str
    unit: str = "run"
    us: Mapping[str, float]
    cpu_us: Mapping[str, float] = field(default_factory=dict)
    least: str = PLAIN  # the side that the ratio is against
    target: float | None = None  # of the ratio
    facts: Mapping[str, float] = field(default_factory=dict)

    @property
    def ratio(self) -> float | None:
        return self.us[OURS] / self.us[self.least] if self.least in self.us else None

    @property
    def cpu_ratio(self) -> float | None:
        return self.cpu_us[OURS] / self.cpu_us[self.least] if self.least in self.cpu_us else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """Microseconds by side."""

    us: dict[str, float]  # wall time, medians
    cpu_us: dict[str, float]  # processor time of everything that a side runs, means: deaf to what else the machine does


def turns(sides: Mapping[str, Act], rounds: int, *, worker: int | None = None) -> Cost:
    """Each side `rounds` times in turn; all of them once, uncounted, to warm up. `worker`: a tracer that stays."""
    taken: dict[str, list[float]] = {name: [] for name in sides}
    spent: dict[str, float] = dict.fromkeys(sides, 0.0)
    for turn in range(rounds + 1):
        for name, act in sides.items():
            began, before = time.perf_counter(), processor_s(worker)
            act()
            if turn:
                taken[name].append(time.perf_counter() - began)
                spent[name] += processor_s(worker) - before
    return Cost(
        us={name: round(1e6 * statistics.median(each), 1) for name, each in taken.items()},
        cpu_us={name: round(1e6 * each / rounds, 1) for name, each in spent.items()},
    )


def processor_s(worker: int | None) -> float:
    """Of this process, of all that it waited for, and of a worker and all that it waited for (proc_pid_stat(5))."""
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    seconds = time.process_time() + children.ru_utime + children.ru_stime
    if worker is not None:
        fields = Path(f"/proc/{worker}/stat").read_bytes().rpartition(b")")[2].split()
        seconds += sum(map(int, fields[11:15])) / os.sysconf("SC_CLK_TCK")
    return seconds


def spawned(command: tuple[str, ...]) -> Act:
    """The plain program, in the folder of this process."""
    program = subprocess.run(["which", command[0]], capture_output=True, text=True, check=True).stdout.strip()

    def act() -> None:
        streams = [os.open(os.devnull, os.O_RDONLY), os.memfd_create("1"), os.memfd_create("2")]
        actions = [(os.POSIX_SPAWN_DUP2, opened, number) for number, opened in enumerate(streams)]
        os.waitpid(os.posix_spawn(program, command, ENVIRONMENT, file_actions=actions), 0)
        for opened in streams:
            os.close(opened)

    return act


def straced(command: tuple[str, ...], *expressions: str, bpf: bool) -> Act:
    """strace at its quickest: it prints nothing (status=none). Its filter must be told by `trace` what to stop."""
    calls = ",".join(each.split(":")[0].removeprefix("inject=") for each in expressions)
    words = ["strace", "-f", "-o", os.devnull, "-e", f"trace={calls}", "-e", "status=none"]
    words += ["--seccomp-bpf"] if bpf else []
    return spawned((*words, *(word for each in expressions for word in ("-e", each)), *command))


def sides(bench: Bench, command: tuple[str, ...], policy: str, *expressions: str) -> dict[str, Act]:
    """The four ways to run a command with one policy."""
    decided = parse(policy)

    def ours() -> None:
        bench.command = command
        bench.run_command(interceptor=Decider(decided, folder=str(bench.room.path)))

    return {
        PLAIN: spawned(command),
        OURS: ours,
        STRACE_BPF: straced(command, *expressions, bpf=True),
        STRACE: straced(command, *expressions, bpf=False),
    }


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """A folder with something to work on, and how often to measure."""

    folder: Path
    bench: Bench
    rounds: int
    quick: bool

    def _turns(self, sides: Mapping[str, Act], rounds: int) -> Cost:
        return turns(sides, rounds, worker=self.bench.executor.worker_pid)

    def single(self) -> Iterator[Row]:
        """One fault in cat."""
        cat = ("cat", "in.txt")
        once = "inject=write:error=ENOSPC:when=1"
        cost = self._turns(sides(self.bench, cat, "write: true then deny[enospc] when 1", once), self.rounds)
        yield Row(group="run", work="cat, its first write denied", us=cost.us, cpu_us=cost.cpu_us, target=1.10)
        clean = observed(self.bench, cat)
        read = [hit for hit in clean.report.hits if hit.syscall == "read" and not hit.startup][-1]
        policy = f'read: site eq "{read.site}" then deny[eio] when {read.nth}'
        cost = self._turns(sides(self.bench, cat, policy, "inject=read:error=EIO:when=3"), self.rounds)
        yield Row(
            group="run", work="cat, the last read of one site denied", us=cost.us, cpu_us=cost.cpu_us, target=1.10
        )
        yield from self._judged(cat, clean, policy)
        cost = self._turns(
            sides(self.bench, cat, "fadvise64: true then deny[enosys]", "inject=fadvise64:error=ENOSYS"), self.rounds
        )
        yield Row(group="run", work="cat, every fadvise64 denied", us=cost.us, cpu_us=cost.cpu_us, target=1.05)

    def _judged(self, command: tuple[str, ...], clean: Clean, policy: str) -> Iterator[Row]:
        parsed = parse(policy)

        def judged(*, closely: bool) -> None:
            self.bench.command = command
            guards.judge(faulted(self.bench, clean, parsed, closely=closely)[0])

        for closely, words in ((False, ""), (True, ", each descriptor watched")):
            cost = self._turns({PLAIN: spawned(command), OURS: partial(judged, closely=closely)}, self.rounds)
            work = f"cat, the last read of one site denied{words}"
            yield Row(group="judged", work=work, us=cost.us, cpu_us=cost.cpu_us, target=1.10)

    def stops(self) -> Iterator[Row]:
        """What a stop adds to a call, and what a rule costs the calls that it does not name."""
        count = 2000 if self.quick else 20_000
        dd = ("dd", "if=/dev/zero", "of=/dev/null", "bs=1", f"count={count}", "status=none")
        rounds = max(3, self.rounds // 20)
        every = sides(self.bench, dd, f"write: true then deny[eio] when {LATE}", f"inject=write:error=EIO:when={LATE}")
        cost = self._turns(every, rounds)
        added, cpu = (
            {name: round((value - each[PLAIN]) / count, 2) for name, value in each.items() if name != PLAIN}
            for each in (cost.us, cost.cpu_us)
        )
        work = "dd, each write counted"
        yield Row(group="stop", work=work, unit="stop", us=added, cpu_us=cpu, least=STRACE_BPF, target=0.6)
        unnamed = sides(self.bench, dd, "rename: true then deny[eio]", "inject=rename:error=EIO")
        cost = self._turns(unnamed, rounds)
        yield Row(
            group="stop",
            work=f"dd, {2 * count:,} calls that no rule names",
            us=cost.us,
            cpu_us=cost.cpu_us,
            target=1.10,
        )
        shown = json.loads(
            subprocess.run([sys.executable, STOPS, "time", "400", *dd], check=True, capture_output=True).stdout
        )
        yield Row(group="stop", work="a site's name, seen before", unit="site", us={OURS: shown["hot_us"]}, facts=shown)

    def families(self) -> Iterator[Row]:
        """Programs that start programs."""
        shell = ("sh", "-c", f"for i in {' '.join(map(str, range(CHILDREN)))}; do /bin/true; done")
        rounds = max(3, self.rounds // 5)
        never = f"inject=read:error=EIO:when={LATE}"
        cost = self._turns(sides(self.bench, shell, f"read: true then deny[eio] when {LATE}", never), rounds)
        yield Row(
            group="run",
            work=f"sh with {CHILDREN} children, each read counted",
            us=cost.us,
            cpu_us=cost.cpu_us,
            target=1.45,
        )
        rules = f"rename: true then deny[eio]\nwrite: true then deny[enospc] when {LATE}\nfsync: true then deny[eio]"
        words = ("inject=rename,fsync:error=EIO", f"inject=write:error=ENOSPC:when={LATE}")
        cost = self._turns(sides(self.bench, ("make", "-s", "-B"), rules, *words), rounds)
        yield Row(group="run", work="make with 4 children, three rules", us=cost.us, cpu_us=cost.cpu_us, target=1.45)

    def sweeps(self) -> Iterator[Row]:
        for name, command in SWEPT.items():
            yield from self._sweep(name, command)

    def _sweep(self, name: str, command: tuple[str, ...]) -> Iterator[Row]:
        target = swept_target(self.folder, command)
        runs = swept(target).runs
        script = self.folder.parent / "strace.sh"
        script.write_text(strace_loop(self.bench, command, runs))
        plain = spawned(command)
        inside: list[float] = []
        cost = self._turns(
            {
                PLAIN: lambda: [plain() for _ in range(runs)],
                OURS: lambda: inside.append(swept(target).inside_us),
                STRACE_BPF: spawned(("sh", str(script))),
            },
            1 if self.quick else 7,
        )
        each, cpu = (
            {side: round(value / runs, 1) for side, value in found.items()} for found in (cost.us, cost.cpu_us)
        )
        warm = {**each, OURS: round(statistics.median(inside[1:]) / runs, 1)}
        yield Row(group="sweep", work=f"{name}, {runs} faults, clean runs done", unit="fault", us=warm, target=1.10)
        yield Row(group="sweep", work=f"{name}, {runs} faults, from the very start", unit="fault", us=each, cpu_us=cpu)

    def cold(self) -> Iterator[Row]:
        rounds = max(3, self.rounds // 20)
        firedamp = str(Path(sys.executable).with_name("firedamp"))
        results = str(self.folder.parent / "results")
        expression, cat = "inject=write:error=ENOSPC:when=1", ("cat", "in.txt")
        ours = (firedamp, "inject", "--results", results, "-e", expression, "--", *cat)
        cost = self._turns({STRACE_BPF: straced(cat, expression, bpf=True), OURS: spawned(ours)}, rounds)
        yield Row(group="cold", work="inject -- cat", unit="command", us=cost.us, cpu_us=cost.cpu_us, least=STRACE_BPF)
        cost = self._turns(
            {PLAIN: spawned((sys.executable, "-c", "pass")), OURS: spawned((firedamp, "--help"))}, rounds
        )
        yield Row(group="cold", work="--help, beside python -c pass", unit="command", us=cost.us, cpu_us=cost.cpu_us)


def observed(bench: Bench, command: tuple[str, ...]) -> Clean:
    bench.command = command
    return observe(bench)


def swept_target(folder: Path, command: tuple[str, ...]) -> Target:
    return Target(name="tool", kind=TargetKind.COMMAND, root=folder, command=command, input=InputMode.NONE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Swept:
    runs: int
    inside_us: float  # from the end of the clean runs


def swept(target: Target) -> Swept:
    """A sweep with one worker, judged as a campaign judges."""
    progress = Progress()
    job = Job(target=target, results=target.root.parent / "results", runs=MOST_FAULTS)
    clean_runs_done = 0.0

    def stopping() -> bool:  # asked before each run under a fault
        nonlocal clean_runs_done
        clean_runs_done = clean_runs_done or time.perf_counter()
        return False

    for attempt in ENGINE.search(replace(job, stopping=stopping), progress):
        guards.judge(attempt.outcome)
    return Swept(runs=progress.executions, inside_us=1e6 * (time.perf_counter() - clean_runs_done))


def strace_loop(bench: Bench, command: tuple[str, ...], runs: int) -> str:
    """The first faults of the same plan, one strace command each: by ordinals, since strace knows no sites."""
    clean = observed(bench, command)
    ordinals: dict[tuple[str, int], int] = {}
    counted: Counter[str] = Counter()
    for hit in clean.report.hits:
        counted[hit.syscall] += 1
        ordinals[hit.site, hit.nth] = counted[hit.syscall]
    made = plan.plan(clean.report.hits, str(bench.room.path), clean.steady_paths, plan.Selection())
    lines = []
    for at in range(runs):
        fault = made.faults[at % len(made.faults)]
        nth = f"{ordinals[fault.hit.site, fault.hit.nth]}{'+' if fault.lasting else ''}"
        error = fault.name if re.fullmatch("E[A-Z0-9]+", fault.name) else "EIO"
        call = fault.hit.syscall
        words = f"--seccomp-bpf -e trace={call} -e status=none -e inject={call}:error={error}:when={nth}"
        lines.append(f"strace -f -o /dev/null {words} {' '.join(command)} >/dev/null 2>&1 </dev/null")
    return "\n".join(lines) + "\n"


def table(rows: list[Row], facts: Mapping[str, object]) -> str:
    """Markdown."""
    lines = [
        "# What an injected fault costs",
        "",
        f"| | work | {PLAIN} | {OURS} | {STRACE_BPF} | {STRACE} | ratio | of processor time | target |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        cells = [f"{row.us[side]:,.1f}" if side in row.us else "" for side in (PLAIN, OURS, STRACE_BPF, STRACE)]
        ratio, cpu = ("" if each is None else f"{each:.2f}" for each in (row.ratio, row.cpu_ratio))
        target = "" if row.target is None else f"<= {row.target:.2f}"
        lines.append(f"| {row.group} | {row.work} | {' | '.join(cells)} | {ratio} | {cpu} | {target} |")
    lines += [
        "",
        "Microseconds for each run, stop, fault or command: medians. The ratio is firedamp's over the plain program's,",
        "or over that of strace --seccomp-bpf where there is no plain one; beside it the same of processor time, which",
        "does not tell what else the machine did.",
        "",
        *(f"- {name}: {value}" for name, value in facts.items()),
    ]
    return "\n".join(lines) + "\n"


def facts(options: argparse.Namespace) -> dict[str, object]:
    said = subprocess.run(["strace", "-V"], capture_output=True, text=True, check=True).stdout
    return {
        "command": f"python tests/bench/injection.py {' '.join(sys.argv[1:])}".strip(),
        "strace": said.splitlines()[0].rpartition(" ")[2],
        "kernel": platform.release(),
        "libc": " ".join(platform.libc_ver()),
        "python": platform.python_version(),
        "processors": os.cpu_count(),
        "core": options.core,
        "rounds": options.rounds,
        "load": round(os.getloadavg()[0], 1),
    }


def furnish(folder: Path) -> None:
    folder.mkdir()
    (folder / "in.txt").write_text("".join(f"{number}\n" for number in range(1, 2001)))
    (folder / "Makefile").write_text(MAKEFILE)
    source = folder.parent / "copy.c"
    source.write_text(COPY)
    subprocess.run(["gcc", "-O1", "-g", "-o", folder / "copy", source], check=True)


def measured(options: argparse.Namespace) -> Iterator[Row]:
    with tempfile.TemporaryDirectory(prefix="firedamp-bench-", dir="/dev/shm") as name, ExitStack() as stack:
        folder = Path(name) / "work"
        furnish(folder)
        os.chdir(folder)
        stack.callback(os.chdir, PROJECT)
        bench = stack.enter_context(Bench(swept_target(folder, ("cat", "in.txt")), None))
        bench.run_command()  # from now on its worker is there
        session = Session(folder=folder, bench=bench, rounds=options.rounds, quick=options.quick)
        for part in (session.single, session.stops, session.families, session.sweeps, session.cold):
            if not options.only or part.__name__ in options.only:
                for row in part():
                    print(f"{row.group}: {row.work}: {dict(row.us)}", file=sys.stderr)
                    yield row


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else None)
    parser.add_argument("--rounds", type=int, default=200)
    parser.add_argument("--core", type=int, default=max(os.sched_getaffinity(0)))
    parser.add_argument("--only", nargs="*", help="single, stops, families, sweeps, cold")
    parser.add_argument("--quick", action="store_true", help="too few rounds for a figure: does the script work?")
    parser.add_argument("--results", type=Path, default=PROJECT / "results" / "bench")
    options = parser.parse_args()
    options.results = options.results.absolute()
    if options.quick:
        options.rounds = 3
    os.sched_setaffinity(0, {options.core})  # as taskset does; children inherit it
    os.environ["LC_ALL"] = "C"
    known = facts(options)
    rows = list(measured(options))
    text = table(rows, known)
    print(text, end="")
    options.results.mkdir(parents=True, exist_ok=True)
    (options.results / "injection.md").write_text(text)
    document = {**known, "rows": [{**asdict(row), "ratio": row.ratio, "cpu_ratio": row.cpu_ratio} for row in rows]}
    (options.results / "injection.json").write_text(json.dumps(document, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
