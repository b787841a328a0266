"""Runs that begin alike, told apart by a copy of the process: each shows what a run of its own shows, or is left."""

import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from firedamp import guards
from firedamp.engine import Job, Progress
from firedamp.outcome import Outcome, Strike, TimedOut
from firedamp.run import Bench
from firedamp.target import InputMode, Target, TargetKind
from firedamp.trace.protocol import Left, Verdict
from inject import ENGINE
from inject.decide.decider import Decider, DecisionReport
from inject.observe.clean import Clean, observe
from inject.observe.ledger import Ledger
from inject.policy import parse
from inject.sweeps.plan import Selection, plan
from inject.sweeps.snapshots import branching, shares, told

pytestmark = [pytest.mark.needs("ptrace"), pytest.mark.needs("seccomp")]

STATE = Path(__file__).parents[1] / "targets" / "snapshots" / "state.c"
FAILS = "openat: true then deny[eio] when 1\n"


def bench(folder: Path, *argv: str, **facts: object) -> Bench:
    (folder / "in.txt").write_text("".join(f"{number}\n" for number in range(1, 2001)))
    (folder / "in.txt").chmod(0o640)
    target = Target(
        name="tool",
        kind=TargetKind.COMMAND,
        root=folder,
        command=argv,
        input=InputMode.NONE,
        **facts,  # type: ignore[arg-type]
    )
    return Bench(target, None)


def snapshots(
    ready: Bench, policies: list[str], clean: Clean | None = None
) -> tuple[dict[int, tuple[Outcome, DecisionReport]], Left]:
    """With a clean run they are looked at closely."""
    parsed = [parse(policy) for policy in policies]
    assert all(shares(policy) for policy in parsed)
    runs = branching(ready, clean or observe(ready), parsed, closely=clean is not None)
    seen: dict[int, tuple[Outcome, DecisionReport]] = {}
    try:
        index, outcome, report = next(runs)
        while True:
            seen[index] = outcome, report
            index, outcome, report = runs.send(Verdict())
    except StopIteration as end:
        left = end.value
        assert isinstance(left, Left)
        return seen, left


def shown(outcome: Outcome, report: DecisionReport) -> tuple[object, ...]:
    """All that does not differ by chance."""
    strikes: list[Strike] = [replace(strike, pid=0) for strike in report.strikes]
    what = outcome.ending, outcome.stdout, outcome.stderr, outcome.before, outcome.after, outcome.check_status
    return *what, outcome.aftermath, outcome.fatals, strikes, report.fired, report.matched, report.later


def planned(ready: Bench, clean: Clean, *syscalls: str) -> list[str]:
    """The rules of a whole sweep."""
    made = plan(clean.report.hits, str(ready.room.path), clean.steady_paths, Selection(syscalls=frozenset(syscalls)))
    return ["\n".join(fault.rules) for fault in made.faults]


@pytest.mark.parametrize("closely", [True, False], ids=["closely", "plainly"])
@pytest.mark.parametrize(
    "command",
    [
        ("cat", "in.txt"),
        ("cp", "in.txt", "copy.txt"),
        ("gzip", "in.txt"),  # takes away names of files that the original has open
        ("sort", "-o", "in.txt", "-r", "in.txt"),
        ("mv", "in.txt", "there.txt"),
        ("tar", "cf", "all.tar", "in.txt"),  # looks whether a file changed meanwhile
        ("split", "-l", "400", "in.txt"),
    ],
    ids=lambda command: str(command[0]),
)
def test_a_snapshot_shows_what_a_run_of_its_own_shows(tmp_path: Path, command: tuple[str, ...], closely: bool) -> None:
    if shutil.which(command[0]) is None:
        pytest.skip(f"needs {command[0]}")
    with bench(tmp_path, *command, check="ls > listed; test -e in.txt") as ready:
        clean = observe(ready)
        policies = planned(ready, clean, "read", "write", "close", "unlink", "rename", "newfstatat")
        seen, left = snapshots(ready, policies, clean if closely else None)
        assert len(seen) > 10
        assert seen.keys() | dict(left.reasons).keys() == set(range(len(policies)))
        for index, snapshot in seen.items():
            decider = Decider(parse(policies[index]), folder=str(ready.room.path))
            outcome, report = ready.run_command(interceptor=Ledger(decider) if closely else decider, snapshot=True)
            assert shown(*snapshot) == shown(*told(ready, clean, outcome, report)), policies[index]


@pytest.fixture(scope="module")
def state(tmp_path_factory: pytest.TempPathFactory) -> Path:
    if shutil.which("gcc") is None:
        pytest.skip("needs gcc")
    output = tmp_path_factory.mktemp("state") / "state"
    subprocess.run(["gcc", "-O1", "-pthread", "-o", output, STATE], check=True)
    return output


@pytest.mark.parametrize(
    ("kind", "reason"),
    [
        ("pipe", "a pipe, a socket or a device is open"),
        ("alarm", "an alarm is set"),
        ("timer", "a timer is set"),
        ("flock", "a file is locked"),
        ("fcntl", "a file is locked"),
        ("mapping", "memory is shared with others"),
        ("shmat", "System V shared memory is attached"),
        ("mlock", "memory is locked"),
        ("thread", "another process or thread of the program is alive"),
        ("child", "a child was not waited for"),
        ("signal", "a signal is pending"),
    ],
)
def test_what_a_copy_would_not_have_is_left_to_a_run_of_its_own(
    state: Path, tmp_path: Path, kind: str, reason: str
) -> None:
    failing = 'read: path eq "$CWD/in.txt" then deny[eio] when 1\n'
    with bench(tmp_path, str(state), kind) as ready:
        seen, left = snapshots(ready, [FAILS, failing])
        assert set(seen) == {0}, "before that state came about a copy was possible"
        assert left.reasons == ((1, reason),)


def test_without_such_state_nothing_is_left(state: Path, tmp_path: Path) -> None:
    with bench(tmp_path, str(state)) as ready:
        seen, left = snapshots(ready, [FAILS, 'read: path eq "$CWD/in.txt" then deny[eio] when 1\n'])
    assert (set(seen), left.reasons) == ({0, 1}, ())
    assert b"Input/output error" in seen[1][0].stderr


def test_who_never_parts_is_left(tmp_path: Path) -> None:
    with bench(tmp_path, "cat", "in.txt") as ready:
        seen, left = snapshots(ready, ['read: path eq "/nowhere" then deny[eio]\n', FAILS])
    assert (set(seen), left.reasons) == ({1}, ((0, "the original did not come there"),))


def test_a_copy_has_limits_of_its_own_and_the_original_goes_on(tmp_path: Path) -> None:
    with bench(tmp_path, "sh", "-c", "read a < in.txt; read b < in.txt; echo over") as ready:
        policies = [f'read: path eq "$CWD/in.txt" then retval[0] when {nth}\n' for nth in (1, 2)]
        stuck = 'read: path eq "$CWD/in.txt" then permit delay[90s] when 2\n'
        clean = observe(ready)
        ready.target = replace(ready.target, limits=replace(ready.target.limits, wall_s=2.0))
        seen, _ = snapshots(ready, [policies[0], stuck, policies[1]], clean)
    assert seen.keys() == {0, 1, 2}
    assert seen[0][0].stdout == seen[2][0].stdout == b"over\n"
    assert seen[1][0].stdout == b"" and isinstance(seen[1][0].ending, TimedOut)


def test_the_other_side_can_leave_off(tmp_path: Path) -> None:
    with bench(tmp_path, "cat", "in.txt") as ready:
        policies = [parse(FAILS), parse("read: true then deny[eio] when 2\n")]
        runs = branching(ready, observe(ready), policies, closely=False)
        next(runs)
        with pytest.raises(StopIteration) as end:
            runs.send(Verdict(stop=True))
        assert end.value.value == Left()
        outcome, _ = ready.run_command()
        assert outcome.stdout.endswith(b"2000\n")


def swept(folder: Path, *command: str, sharing: bool) -> tuple[Progress, dict[bytes, list[str]]]:
    """What the guards say of each fault that struck, by its policy."""
    (folder / "in.txt").write_text("".join(f"{number}\n" for number in range(1, 2001)))
    target = Target(name="tool", kind=TargetKind.COMMAND, root=folder, command=command, input=InputMode.NONE)
    progress = Progress()
    options: dict[str, object] = {"syscalls": ("read", "write", "close"), "snapshots": sharing}
    attempts = ENGINE.search(Job(target=target, results=folder / "results", options=options), progress)
    said = {each.reproducer.payload: sorted(found.kind for found in guards.judge(each.outcome)) for each in attempts}
    return progress, said


@pytest.mark.parametrize("command", [("cat", "in.txt"), ("sh", "-c", "cat in.txt; echo over")], ids=["cat", "sh"])
def test_a_sweep_says_the_same_with_snapshots_and_without(tmp_path: Path, command: tuple[str, ...]) -> None:
    """Of a shell the runs that fail in its child cannot be copied."""
    progress, said = swept(tmp_path, *command, sharing=True)
    alone, expected = swept(tmp_path, *command, sharing=False)
    assert said == expected and (progress.done, progress.skips) == (alone.done, alone.skips)
    assert progress.complete and alone.complete
    assert any("shared their beginning" in note for note in progress.notes)
    assert not any("shared their beginning" in note for note in alone.notes)
    assert any("is alive" in note for note in progress.notes) == (command[0] == "sh")
