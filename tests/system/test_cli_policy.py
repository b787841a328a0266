"""firedamp policy: a policy is checked and printed, strace's expressions become rules; mistakes bear their place."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

FIREDAMP = (sys.executable, "-m", "firedamp")


def run(*words: str, folder: Path, stdin: str = "") -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*FIREDAMP, *words], cwd=folder, capture_output=True, text=True, timeout=250, check=False, input=stdin
    )


def test_a_policy_is_printed_with_its_notes(tmp_path: Path) -> None:
    (tmp_path / "p").write_text('native-open: filename eq "*" -> permit log\n')
    done = run("policy", "p", folder=tmp_path)
    assert done.returncode == 0
    assert done.stdout == '# firedamp policy 1\nnative-open: filename eq "*" then permit log\n'
    assert "p:1:14: eq is literal" in done.stderr
    again = run("policy", "-", "--json", folder=tmp_path, stdin=done.stdout)
    body = json.loads(again.stdout)
    assert (again.returncode, body["schema"], body["policy"]) == (0, 1, done.stdout)
    assert [(note["line"], note["column"]) for note in body["notes"]] == [(2, 14)]


@pytest.mark.parametrize(
    ("words", "stdin", "message"),
    [
        (("policy", "-"), "open: deny\nopen: deni\n", "<stdin>:2:7: 'deni' is no attribute"),
        (("policy", "-"), "getpid: true then partial[3]", "<stdin>:1:1: partial: getpid has no count"),
        (("policy", "gone"), "", "gone: cannot be read"),
        (("policy",), "", "give a policy FILE"),
        (("policy", "--from-strace", "inject=wriet:error=EIO"), "", "did you mean write?"),
        (("replay", "bad", "--", "true"), "", "bad:1:6: expected"),
    ],
)
def test_a_mistake_exits_2_with_its_place(tmp_path: Path, words: tuple[str, ...], stdin: str, message: str) -> None:
    (tmp_path / "bad").write_text("open:\n")
    done = run(*words, folder=tmp_path, stdin=stdin)
    assert (done.returncode, done.stdout) == (2, "")
    assert message in done.stderr


@pytest.mark.needs("ptrace", "seccomp")
@pytest.mark.parametrize(
    "expression",
    [
        "inject=write:error=ENOSPC:when=2",
        "inject=read:error=EIO:when=2+2",
        "fault=lseek",
        "inject=/^(f?sync|write)$:retval=3",
    ],
)
def test_a_translated_expression_does_the_same(tmp_path: Path, expression: str) -> None:
    (tmp_path / "in").write_bytes(bytes(range(256)) * 16)
    (tmp_path / "rules").write_text(run("policy", "--from-strace", expression, folder=tmp_path).stdout)
    shown = []
    for words in (("-e", expression), ("--policy", "rules")):
        done = run(
            *("inject", "--results", "r", "--exit-status", "program", *words, "--"),
            *("dd", "if=in", "of=out", "bs=1000", "status=none"),
            folder=tmp_path,
        )
        faults = done.stderr.splitlines()[-1]
        shown.append((done.returncode, faults, (tmp_path / "out").read_bytes()))
    assert shown[0] == shown[1] and "no fault took place" not in shown[0][1]
