"""Findings as JSON for scripts and as text for people."""

import json
import re
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from firedamp.campaign import Summary
from firedamp.engine import Progress
from firedamp.finding import Detection, Effect, Finding, Severity, State
from firedamp.outcome import Exited, Frame, Killed, OutOfMemory, Reach, Stall, TimedOut
from firedamp.report import document, text
from firedamp.report.ending import status_of, words_of
from firedamp.report.sweep import closing_line, progress_line

ROOT = Path("/project")
FRAME = Frame(module="/b/replay", offset=5, function="parse", file="/project/src/p.c", line=12, own=True)


def finding(frame: Frame | None = FRAME, cwe: int = 121) -> Finding:
    detection = Detection(
        guard="stack_smash",
        kind="stack-smash",
        cwe=cwe,
        severity=Severity.HIGH,
        place=("parse",),
        frame=frame,
        message="canary of parse() smashed",
        evidence=("SIGABRT",),
        stack=(FRAME,),
    )
    return Finding(
        id="0123456789ab",
        target="png",
        engine="fuzz",
        detection=detection,
        count=4,
        confirmed=(2, 3),
        state=State.NEW,
        reproducer="/r/png/findings/0123456789ab/reproducer.toml",
        first_seen="2024-01-01T00:00:00+00:00",
    )


def only(each: Finding) -> dict[str, object]:
    body = json.loads(document.document([each], root=ROOT, results=Path("/r")))
    assert body["schema"] == 1
    (found,) = body["findings"]
    assert isinstance(found, dict)
    return found


def test_the_fields_that_scripts_rely_on() -> None:
    found = only(finding())
    expected = {
        "id": "0123456789ab",
        "kind": "stack-smash",
        "target": "png",
        "engine": "fuzz",
        "function": "parse",
        "file": "src/p.c",
        "line": 12,
        "cwe": 121,
        "severity": "high",
        "count": 4,
        "confirmed": [2, 3],
        "state": "new",
        "reproducer": "/r/png/findings/0123456789ab/reproducer.toml",
    }
    assert {key: found[key] for key in expected} == expected


def test_null_where_unknown_and_absolute_outside_the_project() -> None:
    bare = only(finding(frame=None, cwe=0))
    assert [bare[key] for key in ("function", "file", "line", "cwe")] == [None] * 4
    elsewhere = only(finding(frame=Frame(module="/lib/x", offset=1, file="/usr/src/x.c")))
    assert (elsewhere["file"], elsewhere["line"], elsewhere["function"]) == ("/usr/src/x.c", None, None)


def test_the_replay_command_runs_from_any_folder(tmp_path: Path) -> None:
    command = document.replay_command("0123456789ab", Path("results"))
    assert command[-1] == "0123456789ab"
    assert Path(command[command.index("--results") + 1]).is_absolute()
    done = subprocess.run(
        [*command[: command.index("replay")], "--version"], cwd=tmp_path, capture_output=True, text=True
    )
    assert done.stdout.startswith("firedamp, version")


def test_the_facts_of_a_sweep() -> None:
    progress = Progress(executions=10, done=9, sites=4, planned=17, skips={"a": 2, "b": 3})
    facts = document.of_sweep(progress, Summary(), ROOT)
    names = ("runs", "sites", "faults", "skipped", "left", "skips", "hints", "complete")
    assert [facts[name] for name in names] == [9, 4, 17, 5, 3, {"a": 2, "b": 3}, 0, False]


def test_the_facts_of_a_search() -> None:
    progress = Progress(executions=100, executions_per_s=33.333, edges=7)
    facts = document.of_fuzz(progress, Summary(wall_s=3.0))
    assert [facts[name] for name in ("executions", "executions_per_s", "wall_s", "edges")] == [100, 33.3, 3.0, 7]


def test_findings_are_counted_by_reach_and_effect() -> None:
    def placed(reach: Reach | None, effect: Effect | None) -> Finding:
        return replace(finding(), detection=replace(finding().detection, reach=reach, effect=effect))

    remote, local = placed(Reach.REMOTE, Effect.TAKEOVER), placed(Reach.LOCAL, Effect.DENIAL)
    shown = text.quadrants([remote, local, remote, placed(Reach.LOCAL, None)])
    assert [line.split() for line in shown.splitlines()] == [
        ["takeover", "denial-of-service"],
        ["remote", "2", "0"],
        ["local", "0", "1"],
    ]
    assert text.quadrants([finding()]) == ""


def test_a_table_without_a_terminal_has_no_colours_and_one_line_each(capsys: pytest.CaptureFixture[str]) -> None:
    text.console().print(text.table([finding(), finding(frame=None)], root=ROOT))
    heading, first, second = capsys.readouterr().out.rstrip("\n").split("\n")
    assert heading.split() == ["ID", "KIND", "TARGET", "WHERE", "SEVERITY", "EXPOSURE", "COUNT", "CONFIRMED", "STATE"]
    assert " ".join(first.split()) == "0123456789ab stack-smash png parse (src/p.c:12) high - 4 2 of 3 new"
    assert "\x1b" not in first + second


def test_the_story_has_evidence_stack_reproducer_and_replay() -> None:
    story = text.story(finding(), root=ROOT, results=Path("/r"), payload="41 42")
    for words in ("came back 2 of 3", "CWE-121", "SIGABRT", "#0 parse (src/p.c:12)", "41 42", "replay --results /r"):
        assert words in story


@pytest.mark.parametrize(
    ("ending", "status", "words"),
    [
        (Exited(status=3), 3, "exited with 3"),
        (Killed(signal=11), 139, "killed by SIGSEGV"),
        (Killed(signal=40), 168, "killed by signal 40"),
        (TimedOut(limit="wall", stall=Stall.BUSY), 124, "out of wall time (busy)"),
        (OutOfMemory(resident_bytes=5 << 20), 137, "5 MiB resident"),
    ],
)
def test_an_ending_in_words_and_as_a_status(
    ending: Exited | Killed | TimedOut | OutOfMemory, status: int, words: str
) -> None:
    assert status_of(ending) == status
    assert words in words_of(ending)


def test_the_closing_line_of_a_sweep_adds_up() -> None:
    progress = Progress(executions=210, done=200, sites=12, kinds=9, planned=640)
    progress.skips = {"start-up of the dynamic loader": 300, "not reached": 10}
    line = closing_line(progress, Summary(wall_s=312.0, benign=3))
    assert line == (
        "12 sites x 9 errnos: 640 faults planned, 200 executed, 310 skipped (start-up of the dynamic loader: 300, "
        "not reached: 10), 130 left (--resume goes on there); 0 findings, 0 new, 0 hints, 3 benign; 210 runs in 5 min"
    )
    planned, executed, skipped, *reasons, left = (
        int(word) for word in re.findall(r"(\d+)(?= faults| executed| skipped|[,)]| left)", line.split(";")[0])
    )
    assert planned == executed + skipped + left and skipped == sum(reasons)


def test_the_progress_line_of_a_sweep_tells_how_long_it_will_take() -> None:
    progress = Progress(executions=100, done=100, planned=400, skips={"x": 100})
    assert progress_line("cp", progress, 2, 10.0, None) == (
        "cp: 100 runs, 200 left, 2 findings, 10.0 runs/s, 20 s left"
    )
    assert progress_line("cp", progress, 2, 10.0, 15.0).endswith("5 s left")
    assert progress_line("cp", Progress(), 0, 1.0, None) == "cp: looking for sites"
