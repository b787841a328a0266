"""firedamp inject: one run under faults, here, with our own streams, as people use strace for it."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

FIREDAMP = (sys.executable, "-P", "-m", "firedamp")
pytestmark = [pytest.mark.needs("ptrace"), pytest.mark.needs("seccomp")]
NEVER = "inject=write:error=EIO:when=999"


def inject(*words: str, folder: Path, stdin: str = "") -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*FIREDAMP, "inject", *words], cwd=folder, capture_output=True, text=True, timeout=250, check=False, input=stdin
    )


def test_the_program_has_our_streams_and_we_speak_on_stderr(tmp_path: Path) -> None:
    done = inject("-e", NEVER, "--", "cat", stdin="through\n", folder=tmp_path)
    assert (done.returncode, done.stdout) == (0, "through\n")
    assert "exited with 0; no fault took place" in done.stderr


def test_a_fault_takes_place_and_the_program_copes(tmp_path: Path) -> None:
    done = inject("-e", "inject=write:error=ENOSPC:when=1", "cat", "-n", "/etc/hostname", folder=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "No space left on device" in done.stderr
    assert "exited with 1; write ENOSPC" in done.stderr


def test_the_first_match_decides_over_rules_and_files(tmp_path: Path) -> None:
    (tmp_path / "p.policy").write_text("# firedamp policy 1\nwrite: true then deny[eio]\n")
    rule = "write: true then deny[enospc] once"
    done = inject("-e", rule, "--policy", "p.policy", "--", "sh", "-c", "echo a; echo b", folder=tmp_path)
    assert "write ENOSPC" in done.stderr
    assert "write EIO" in done.stderr
    assert done.stdout == ""


@pytest.mark.parametrize(("script", "status"), [("exit 7", 7), ("kill -TERM $$", 143), ("exit 0", 0)])
def test_the_program_s_own_status_on_demand(tmp_path: Path, script: str, status: int) -> None:
    assert (
        inject("--exit-status", "program", "-e", NEVER, "--", "sh", "-c", script, folder=tmp_path).returncode == status
    )


def test_a_fault_that_did_not_take_is_said(tmp_path: Path) -> None:
    rule = 'read: fd eq "0" then corrupt[9] seed 1'
    done = inject("-e", rule, "--", "sh", "-c", "read a; read b; true", stdin="x\n", folder=tmp_path)
    assert "read corrupt" in done.stderr and "read corrupt that did not take" in done.stderr


def test_a_crash_is_a_finding_with_a_policy_that_replays(tmp_path: Path) -> None:
    done = inject("--json", "-e", NEVER, "--", "sh", "-c", "echo noise; kill -SEGV $$", folder=tmp_path)
    assert done.returncode == 1, done.stderr
    body = json.loads(done.stdout)
    assert "noise" in done.stderr
    (finding,) = body["findings"]
    assert (body["status"], finding["engine"], finding["target"]) == (139, "inject", "sh")
    assert Path(finding["reproducer"]).read_text().startswith("# firedamp policy 1\n")
    again = subprocess.run([*finding["replay"], "-n", "1"], cwd="/", capture_output=True, text=True, check=False)
    assert (again.returncode, "came back, 1 of 1" in again.stdout) == (1, True), again.stderr


def test_a_wrong_rule_names_its_place(tmp_path: Path) -> None:
    done = inject("-e", "inject=wrte:error=EIO", "--", "true", folder=tmp_path)
    assert done.returncode == 2
    assert done.stderr.startswith("-e:1:8: 'wrte' is no system call")
    assert done.stdout == ""


def test_a_private_copy_leaves_the_folder_alone(tmp_path: Path) -> None:
    (tmp_path / "work").mkdir()
    words = ("--workdir", "work", "--stdout", "out", "-e", NEVER)
    done = inject(*words, "--", "sh", "-c", "echo a; touch b", folder=tmp_path)
    assert (done.returncode, done.stdout) == (0, ""), done.stderr
    assert list((tmp_path / "work").iterdir()) == []


def test_streams_in_place_are_files_here(tmp_path: Path) -> None:
    (tmp_path / "in").write_text("hello\n")
    done = inject("--stdin", "in", "--stdout", "out", "-e", NEVER, "--", "cat", folder=tmp_path)
    assert (done.returncode, done.stdout, (tmp_path / "out").read_text()) == (0, "", "hello\n")
    assert inject("--stdin", "gone", "-e", NEVER, "--", "cat", folder=tmp_path).returncode == 2
