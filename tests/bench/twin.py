"""What the sanitizer twin costs a search: executions per second with it over those without, side by side in one run.

    python tests/bench/twin.py [--seconds 10] [--rounds 3] [--core 1] [NAME...]

Search and twin share one core, which is where it hurts most; the sides take turns, from an empty corpus and with the
same seed. Both builds are made before. A rate is executions over the processor time of all that the search starts, the
twin included: on a machine that others use, too, time on the wall says more of them. What the twin reads after the
search is no part of it. Writes results/bench/twin.md.
"""

import argparse
import os
import shutil
import statistics
import tempfile
import threading
from pathlib import Path

from throughput import PROJECT, TARGETS

from firedamp.building.build import build
from firedamp.engine import Job, Progress
from firedamp.target import Profile, Target
from fuzz.search import Search

BOUND = 0.9  # of the rate without


def rate(target: Target, cache: Path, seconds: float, *, twin: bool) -> tuple[float, str]:
    """Executions per second of processor time, and what the twin says of itself."""
    results = Path(tempfile.mkdtemp(dir=cache))
    progress = Progress()
    sanitized = build(target, Profile.ASAN, cache=cache, allow_unguarded=True)
    options: dict[str, object] = {"twin": lambda: sanitized} if twin else {}
    over = threading.Event()
    job = Job(
        target=target,
        build=build(target, cache=cache, allow_unguarded=True),
        results=results,
        stopping=over.is_set,
        seed=1,
        options=options,
    )
    before_s = processor_s()
    with Search(job, progress) as search:
        threading.Timer(seconds, over.set).start()
        for _ in search.attempts():
            pass
        said = next((note for note in progress.notes if "twin" in note), "")
    shutil.rmtree(results)
    return progress.executions / (processor_s() - before_s), said


def processor_s() -> float:
    """Of this process and of all that it has waited for."""
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=10)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--core", type=int, default=1)
    parser.add_argument("names", nargs="*", help="Of the targets of throughput.py; all of them where none is named.")
    given = parser.parse_args()
    os.sched_setaffinity(0, {given.core})
    lines = [
        "| target | without, executions/s of processor time | with the twin | ratio (lowest-highest) | the twin |",
        "|---|---|---|---|---|",
    ]
    with tempfile.TemporaryDirectory() as folder:
        for name, make in TARGETS.items():
            if given.names and name not in given.names:
                continue
            target = make(Path(folder))
            rounds = []
            for number in range(given.rounds):
                order = (False, True) if number % 2 == 0 else (True, False)
                seen = {twin: rate(target, Path(folder), given.seconds, twin=twin) for twin in order}
                rounds.append((seen[False][0], seen[True][0], seen[True][1]))
            ratios = sorted(after / before for before, after, _ in rounds)
            without, beside = (statistics.median(row[side] for row in rounds) for side in (0, 1))
            lines.append(
                f"| {name} | {without:,.0f} | {beside:,.0f} | {statistics.median(ratios):.3f} "
                f"({ratios[0]:.3f}-{ratios[-1]:.3f}) | {rounds[-1][2]} |"
            )
            print(lines[-1], flush=True)
    head = (
        f"# The price of the sanitizer twin\n\n{given.rounds} rounds of {given.seconds:g} s on one core, in turns. "
        f"Bound: the twin may cost {1 - BOUND:.0%} of the executions.\n\n"
    )
    (PROJECT / "results" / "bench" / "twin.md").write_text(head + "\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
