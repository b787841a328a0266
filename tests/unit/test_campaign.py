"""The loop between an engine, the guards and the store, with a small engine whose outcomes are known."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from signal import Signals

import pytest

from firedamp import campaign, reproducer_file
from firedamp.campaign import Summary
from firedamp.engine import Attempt, Engine, Job, Progress
from firedamp.errors import UsageError
from firedamp.finding import Finding, State
from firedamp.outcome import Access, Exited, Fatal, Frame, Killed, Outcome
from firedamp.reproducer import Reproducer
from firedamp.store import Store
from firedamp.target import Build, Target, TargetKind

CLEAN = Outcome(ending=Exited(status=0))


def crash(function: str) -> Outcome:
    """A segmentation fault that the memory guard knows."""
    frame = Frame(module="/bin/prog", offset=0x40, function=function, function_offset=4, file="p.c", line=7, own=True)
    fatal = Fatal(signal=Signals.SIGSEGV, code=1, address=0x7F0000001000, access=Access.READ, stack=(frame,))
    return Outcome(ending=Killed(signal=Signals.SIGSEGV), fatals=(fatal,))


class Engineered:
    """An Engine over inputs: `judge` is the program under test."""

    name = "fuzz"

    def __init__(self, inputs: list[bytes], program: Callable[[bytes], Outcome]) -> None:
        self.inputs = inputs
        self.program = program
        self.replays: list[bytes] = []
        self.closed = False
        self.before_each: Callable[[int], None] = lambda index: None

    def search(self, job: Job, progress: Progress) -> Iterator[Attempt]:
        try:
            for index, data in enumerate(self.inputs):
                self.before_each(index)
                progress.executions += 1
                yield Attempt(
                    reproducer=Reproducer(engine=self.name, target=job.target, payload=data), outcome=self.program(data)
                )
        finally:
            self.closed = True

    def replay(self, reproducer: Reproducer, build: Build | None) -> Outcome:
        self.replays.append(reproducer.payload)
        return self.program(reproducer.payload)


def buggy(data: bytes) -> Outcome:
    if b"MAGIC" in data:
        return crash("parse")
    return crash("lex") if data.startswith(b"\xff") else CLEAN


def target(folder: Path) -> Target:
    return Target(name="t", kind=TargetKind.HARNESS, root=folder, sources=("t.c",))


def run(
    folder: Path, engine: Engine, *, stopping: Callable[[], bool] = lambda: False, heard: list[str] | None = None
) -> Summary:
    def on_finding(finding: Finding, fresh: bool) -> None:
        if heard is not None:
            heard.append(f"{finding.detection.kind} {finding.detection.place[0].split('+')[0]} {fresh}")

    job = Job(target=target(folder), results=folder, stopping=stopping)
    with Store(folder / "findings.db") as store:
        return campaign.run(engine, job, store, progress=Progress(), on_finding=on_finding)


def test_two_bugs_are_two_findings_confirmed_and_shrunk(tmp_path: Path) -> None:
    heard: list[str] = []
    engine = Engineered([b"..MAGIC..", b"\xff\xff\xff", b"more MAGIC", b"MAGIC!"], buggy)
    summary = run(tmp_path, engine, heard=heard)
    assert heard == ["segv-read parse True", "segv-read lex True"]
    assert [(each.count, each.confirmed, each.state) for each in summary.findings] == [
        (3, (3, 3), State.NEW),
        (1, (3, 3), State.NEW),
    ]
    assert len(summary.new) == 2
    payloads = [reproducer_file.read(Path(each.reproducer)).payload for each in summary.findings]
    assert payloads == [b"MAGIC", b"\xff"]
    originals = [Path(each.reproducer).with_name("input").read_bytes() for each in summary.findings]
    assert originals == [b"..MAGIC..", b"\xff\xff\xff"]
    journal = [json.loads(line) for line in (tmp_path / "t" / "journal.jsonl").read_text().splitlines()]
    assert [line["id"] for line in journal] == [each.id for each in summary.findings]


def test_runs_under_faults_that_show_nothing_are_nothing(tmp_path: Path) -> None:
    engine = Engineered([b"# firedamp policy 1\n"], lambda data: CLEAN)
    engine.name = "inject"
    summary = run(tmp_path, engine)
    assert (summary.findings, summary.unconfirmed, engine.replays) == ((), (), [])
    engine.program = lambda data: crash("f")
    assert [each.engine for each in run(tmp_path, engine).findings] == ["inject"]


def test_a_known_finding_costs_no_replay_and_is_not_new(tmp_path: Path) -> None:
    run(tmp_path, Engineered([b"MAGIC"], buggy))
    again = Engineered([b"MAGIC", b"MAGIC2"], buggy)
    summary = run(tmp_path, again)
    assert again.replays == []
    assert [(each.state, each.count) for each in summary.findings] == [(State.KNOWN, 3)]
    assert summary.new == frozenset()


def test_a_lost_reproducer_is_written_again(tmp_path: Path) -> None:
    first = run(tmp_path, Engineered([b"MAGIC"], buggy)).findings[0]
    Path(first.reproducer).unlink()
    again = run(tmp_path, Engineered([b"MAGIC again"], buggy)).findings[0]
    assert again.state is State.KNOWN
    assert b"MAGIC" in reproducer_file.read(Path(again.reproducer)).payload


def test_what_comes_back_sometimes_says_how_often(tmp_path: Path) -> None:
    outcomes = iter([crash("f"), CLEAN, crash("f"), CLEAN])
    summary = run(tmp_path, Engineered([b"x"], lambda data: next(outcomes)))
    assert [each.confirmed for each in summary.findings] == [(1, 3)]


def test_what_never_comes_back_is_kept_apart(tmp_path: Path) -> None:
    outcomes = iter([crash("f"), CLEAN, CLEAN, CLEAN])
    summary = run(tmp_path, Engineered([b"x"], lambda data: next(outcomes)))
    assert summary.findings == ()
    assert [(each.confirmed, each.state) for each in summary.unconfirmed] == [((0, 3), State.UNCONFIRMED)]
    assert reproducer_file.read(Path(summary.unconfirmed[0].reproducer)).payload == b"x"


def test_a_death_in_process_that_shows_nothing_is_kept_with_its_inputs(tmp_path: Path) -> None:
    inputs = [bytes([index]) for index in range(30)]
    engine = Engineered(inputs, lambda data: CLEAN)
    summary = run(tmp_path, engine)
    (finding,) = summary.unconfirmed
    assert (finding.detection.kind, finding.confirmed, finding.count) == ("signal-UNKNOWN", (0, 3), 30)
    kept = {path.read_bytes() for path in (Path(finding.reproducer).parent / "inputs").iterdir()}
    assert kept == set(inputs[:20])
    assert len(engine.replays) == 15


def test_a_death_in_process_that_a_second_look_explains(tmp_path: Path) -> None:
    outcomes = iter([CLEAN, CLEAN, crash("f"), CLEAN])
    summary = run(tmp_path, Engineered([b"x"], lambda data: next(outcomes)))
    assert [(each.detection.kind, each.confirmed) for each in summary.findings] == [("segv-read", (1, 3))]


def test_stopping_still_keeps_what_was_found_and_does_not_shrink(tmp_path: Path) -> None:
    engine = Engineered([b"..MAGIC.."], buggy)
    summary = run(tmp_path, engine, stopping=lambda: True)
    assert summary.interrupted
    assert [each.confirmed for each in summary.findings] == [(1, 1)]
    assert reproducer_file.read(Path(summary.findings[0].reproducer)).payload == b"..MAGIC.."


def test_an_error_of_the_engine_closes_it_and_loses_nothing(tmp_path: Path) -> None:
    engine = Engineered([b"MAGIC", b"x"], buggy)

    def fail(index: int) -> None:
        if index:
            raise RuntimeError("the engine broke")

    engine.before_each = fail
    with pytest.raises(RuntimeError, match="the engine broke"):
        run(tmp_path, engine)
    assert engine.closed
    with Store(tmp_path / "findings.db") as store:
        assert [each.confirmed for each in store.findings("t")] == [(3, 3)]


def test_a_finding_is_on_disk_before_the_next_attempt(tmp_path: Path) -> None:
    seen: list[int] = []
    engine = Engineered([b"MAGIC", b"\xff", b"MAGIC"], buggy)

    def look(index: int) -> None:
        with Store(tmp_path / "findings.db") as store:
            findings = store.findings("t")
        assert all(Path(each.reproducer).is_file() for each in findings)
        seen.append(len(findings))

    engine.before_each = look
    run(tmp_path, engine)
    assert seen == [0, 1, 2]


def test_a_policy_loses_the_rules_that_it_does_not_need_and_the_original_stays(tmp_path: Path) -> None:
    header = b"# firedamp policy 1\n# why\n"
    needed, spare, lasting = (
        b"read: true then deny[eio] when 1\n",
        b"brk: true then deny[enomem] when 1\n",
        b"when 2+\n",
    )
    rest = b"write: true then deny[enospc] "

    def program(policy: bytes) -> Outcome:
        if spare in policy and needed not in policy:
            raise UsageError("this rule cannot stand alone")
        return crash("f") if needed in policy and rest in policy else CLEAN

    engine = Engineered([header + spare + needed + rest + lasting], program)
    engine.name = "inject"
    (finding,) = run(tmp_path, engine).findings
    path = Path(finding.reproducer)
    assert path.name == "faults.policy" and path.read_bytes() == header + needed + rest + b"when 2\n"
    assert reproducer_file.read(path).payload == path.read_bytes()
    assert path.with_name("faults.original.policy").read_bytes() == engine.inputs[0]
