import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from firedamp.engine import Progress
from firedamp.report.duration import words
from firedamp.sessions import Past, Session, past


def test_runs_add_up(tmp_path: Path) -> None:
    assert past(tmp_path) == Past()
    for executions in (10, 32):
        with Session(tmp_path, Progress(executions=executions, active_s=1.5)):
            pass
    found = past(tmp_path)
    assert (found.executions, found.sessions, found.killed) == (42, 2, 0)
    assert found.run_s == 3.0


def test_a_killed_run_counts_and_is_known_as_killed(tmp_path: Path) -> None:
    code = (
        "import os, sys; from pathlib import Path; from firedamp.sessions import Session\n"
        "from firedamp.engine import Progress\n"
        "Session(Path(sys.argv[1]), Progress(executions=7)).__enter__(); os.kill(os.getpid(), 9)"
    )
    killed = subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=False)
    assert killed.returncode == -9
    assert (past(tmp_path).executions, past(tmp_path).killed) == (7, 1)
    with Session(tmp_path, Progress()):
        assert past(tmp_path).killed == 1  # a run under way is none


@pytest.mark.parametrize("text", ["", "{", "[]", '{"run_s": 1}'])
def test_what_cannot_be_read_does_not_count(tmp_path: Path, text: str) -> None:
    (tmp_path / "sessions").mkdir()
    (tmp_path / "sessions" / "x.json").write_text(text)
    facts = {"run_s": 2.5, "executions": 5, "ended": True, "pid": os.getpid()}
    (tmp_path / "sessions" / "y.json").write_text(json.dumps(facts))
    assert past(tmp_path) == Past(run_s=2.5, executions=5, sessions=1)


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [(0.9, "0 s"), (60, "1 min"), (192, "3 min 12 s"), (11520, "3 h 12 min"), (183600, "2 d 3 h")],
)
def test_durations(seconds: float, expected: str) -> None:
    assert words(seconds) == expected
