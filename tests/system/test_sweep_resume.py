"""A sweep that is stopped in any way goes on where it stopped; what was found before still counts."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

pytestmark = [pytest.mark.needs("ptrace"), pytest.mark.needs("seccomp")]

FIREDAMP = (sys.executable, "-P", "-m", "firedamp")
# echo's failure is swallowed; with HOLD set it costs a second
SCRIPT = 'cat a a a a > /dev/null; echo hello > out.txt || [ -z "$HOLD" ] || sleep 1; exit 0'
WORDS = ("sweep", "--json", "--errno", "EIO", "--errno", "ENOSPC", "--workers", "1")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "a").write_text("line\n" * 100)
    return tmp_path


def run(folder: Path, *words: str) -> tuple[int, dict[str, Any], str]:
    argv = [*FIREDAMP, *WORDS, *words, "--", "sh", "-c", SCRIPT]
    done = subprocess.run(argv, cwd=folder, capture_output=True, text=True, timeout=250, check=False)
    body: dict[str, Any] = json.loads(done.stdout)
    assert body["faults"] == body["runs"] + body["taken_over"] + body["skipped"] + body["left"], body
    assert body["skipped"] == sum(body["skips"].values()) and body["complete"] is (body["left"] == 0)
    return done.returncode, body, done.stderr


def test_in_three_parts_it_is_the_whole(folder: Path) -> None:
    code, whole, said = run(folder)
    assert (code, whole["complete"], whole["taken_over"]) == (1, True, 0) and "none left" in said
    runs = 0
    for part in (("--runs", "3"), ("--resume", "--runs", "3")):
        _, body, said = run(folder, *part)
        assert body["taken_over"] == runs and not body["complete"] and "(--resume goes on there)" in said
        runs += body["runs"]
    code, rest, said = run(folder, "--resume")
    assert rest["complete"] and f"goes on: {runs} runs" in said
    assert (rest["runs"] + rest["taken_over"], rest["skips"]) == (whole["runs"], whole["skips"])
    assert {each["id"] for each in rest["findings"]} == {each["id"] for each in whole["findings"]} != set()
    code, nothing, _ = run(folder, "--resume")
    assert (code, nothing["runs"]) == (1, 0) and {each["state"] for each in nothing["findings"]} == {"known"}
    assert run(folder, "--resume", "--new-only")[0] == 0


def test_what_has_changed_since_begins_anew_and_says_so(folder: Path) -> None:
    run(folder, "--runs", "2")
    (folder / "a").write_text("other\n")
    _, body, said = run(folder, "--resume", "--runs", "2")
    assert body["taken_over"] == 0 and body["runs"] == 2
    assert "begins anew, 2 runs are not taken over: changed since: working folder" in said


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT], ids=["kill -9", "Ctrl-C"])
def test_after_a_signal_it_goes_on(folder: Path, number: signal.Signals) -> None:
    argv = [*FIREDAMP, *WORDS, "--", "sh", "-c", SCRIPT]
    environment = {**os.environ, "HOLD": "1"}
    process = subprocess.Popen(argv, cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 100
    while time.monotonic() < deadline and sum(file.read_bytes().count(b"fault") for file in journals(folder)) < 2:
        time.sleep(0.02)
    assert process.poll() is None
    process.send_signal(number)
    out, _ = process.communicate(timeout=250)
    if number == signal.SIGINT:
        body = json.loads(out)
        assert process.returncode == 130 and body["interrupted"] and not body["complete"]
        assert body["faults"] == body["runs"] + body["skipped"] + body["left"]
    written = sum(b'"result"' in line for file in journals(folder) for line in file.read_bytes().splitlines())
    _, body, said = run(folder, "--resume")
    assert body["complete"] and body["taken_over"] >= 2 and f"goes on: {written} runs" in said


def journals(folder: Path) -> list[Path]:
    return list((folder / "results" / "sh").glob("sweep-*.jsonl"))
