"""What single inputs reach, by the hand of libFuzzer: the inner step of its -merge, which it would run by itself in a
new process of argv[0]. Ours is a life of the fuzzing child, and a death on an input is followed by another life.

The control file (FuzzerMerge.cpp) lists the files; the inner step adds `STARTED i`, `FT i ...`, `COV i ...` for each.
"""

import re
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

from firedamp.cover import Measured
from firedamp.room import EXCLUDED, Room
from firedamp.target import Build, Target
from fuzz import command, flags
from fuzz.supervisor import Supervisor

POLL_S = 0.2
KILLED_S = 5.0  # takes a millisecond
COUNTERS_BITS = 3  # a counter has eight features: how often its edge was taken, in powers of two (FuzzerTracePC.h)
_STARTED = re.compile(r"^STARTED (\d+)", re.MULTILINE)
_FEATURES = re.compile(r"^FT (\d+)((?: \d+)*)\n", re.MULTILINE)


def measure(
    target: Target, build: Build | None, paths: tuple[Path, ...], stopping: Callable[[], bool] = lambda: False
) -> tuple[Measured, ...]:
    """In a child of its own. An input that ended its process has not survived."""
    with ExitStack() as stack:
        private = stack.enter_context(Room(None)).path
        room = stack.enter_context(Room(target.workspace, exclude=EXCLUDED | target.left_out))
        plan = command.plan(target, build, folder=private, corpus=private, work=room.path, survive=False)
        supervisor = stack.enter_context(Supervisor(plan, max_len=target.max_len))
        reached = reach(supervisor, target, paths, control=private / "control", stopping=stopping)
    bits: dict[int, int] = {}
    return tuple(
        Measured(
            path=path,
            size=path.stat().st_size,
            features=sum(1 << bits.setdefault(feature, len(bits)) for feature in found or ()),
            survived=found is not None,
        )
        for path, found in zip(paths, reached, strict=False)
    )


def reach(
    supervisor: Supervisor,
    target: Target,
    paths: tuple[Path, ...],
    *,
    control: Path,
    stopping: Callable[[], bool] = lambda: False,
) -> list[frozenset[int] | None]:
    """The features of each path in turn, None for one that ended its life. A path may be named several times."""
    line = flags.CommandLine(
        corpus=control.parent,
        seeds=control.parent,
        max_len=target.max_len,
        timeout_s=flags.whole_seconds(target.limits),
        rss_limit_mb=flags.whole_mebibytes(target.limits),
        extra=("-merge_inner=2", f"-merge_control_file={control}"),  # 2: all features of each, not only new ones
    )
    control.write_text(f"{len(paths)}\n0\n" + "".join(f"{path}\n" for path in paths))
    done = -1
    while not stopping():
        supervisor.begin(line.argv(seed=1, runs=None))
        end = None
        while end is None and not stopping():
            end = supervisor.hear(POLL_S)
        if end is None:
            supervisor.kill()
            supervisor.hear(KILLED_S)
        started = [int(number) for number in _STARTED.findall(control.read_text())]
        if end is None or end.exit_status == 0 or not started or started[-1] <= done:
            break  # stopped; all were run; or a life that did not get further than the one before
        done = started[-1]
    return parse(control.read_text(), len(paths))


def parse(text: str, count: int) -> list[frozenset[int] | None]:
    found = {int(number): frozenset(map(int, words.split())) for number, words in _FEATURES.findall(text)}
    started = {int(number) for number in _STARTED.findall(text)}
    reached = 1 + max(started, default=-1)
    return [found.get(number) for number in range(min(count, reached))]


def edges(features: frozenset[int]) -> frozenset[int]:
    return frozenset(feature >> COUNTERS_BITS for feature in features)
