"""firedamp learn and enforce: what a program does becomes its policy, and what else it does is denied and logged."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

FIREDAMP = (sys.executable, "-P", "-m", "firedamp")
pytestmark = [pytest.mark.needs("ptrace"), pytest.mark.needs("seccomp")]


def firedamp(*words: str, folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*FIREDAMP, *words], cwd=folder, capture_output=True, text=True, timeout=250, check=False)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "a").write_text("one\n")
    (tmp_path / "b").write_text("two\n")
    return tmp_path


def test_what_was_learned_suffices_for_the_same_run_and_not_for_another(folder: Path) -> None:
    learned = firedamp("learn", "--", "cat", "a", folder=folder)
    assert learned.returncode == 0 and "one" in learned.stderr and "not learned enough" in learned.stderr
    assert 'filename eq "$CWD/a" then permit' in learned.stdout
    (folder / "cat.policy").write_text(learned.stdout)
    same = firedamp("enforce", "cat.policy", "--", "cat", "a", folder=folder)
    assert (same.returncode, same.stdout, same.stderr) == (0, "one\n", "firedamp: exited with 0\n")
    assert "eq is blind to case" in firedamp("policy", "cat.policy", folder=folder).stderr
    other = firedamp("enforce", "--log", "log", "cat.policy", "--", "cat", "b", folder=folder)
    assert other.returncode == 1 and "Operation not permitted" in other.stderr
    assert "denied that no rule permits" in other.stderr
    log = (folder / "log").read_text()
    assert " deny user: " in log and "policy: cat.policy, filters: 0, syscall: native-openat(257)" in log
    assert f"filename: {folder}/b\n" in log


def test_a_policy_grows_until_a_run_adds_nothing(folder: Path) -> None:
    first = firedamp("learn", "-o", "p", "--runs", "2", "--", "cat", "a", folder=folder)
    assert "run 2 added 0 rules" in first.stderr and first.stdout == "one\none\n"
    body = json.loads(firedamp("learn", "--json", "-o", "p", "--", "cat", "b", folder=folder).stdout)
    assert body["added"][1:] == [0, 1] and 'filename eq "$CWD/b" then permit' in body["policy"]
    assert body["policy"] == (folder / "p").read_text()
    for name in ("a", "b"):
        assert firedamp("enforce", "p", "--", "cat", name, folder=folder).returncode == 0


def test_each_program_has_a_section_of_its_own(folder: Path) -> None:
    firedamp("learn", "-o", "p", "--", "sh", "-c", "cat a; echo done", folder=folder)
    sections = [line for line in (folder / "p").read_text().splitlines() if line.startswith("Policy: ")]
    assert len(sections) == 2
    assert firedamp("enforce", "p", "--", "sh", "-c", "cat a; echo done", folder=folder).returncode == 0
    denied = json.loads(firedamp("enforce", "--json", "p", "--", "sh", "-c", "ls", folder=folder).stdout)
    assert denied["denied"] > 0 and denied["findings"] == []


def test_the_program_s_own_status_and_a_log_that_cannot_be_written(folder: Path) -> None:
    firedamp("learn", "-o", "p", "--", "sh", "-c", "exit 7", folder=folder)
    assert (
        firedamp("enforce", "--exit-status", "program", "p", "--", "sh", "-c", "exit 7", folder=folder).returncode == 7
    )
    done = firedamp("enforce", "--log", "no/log", "p", "--", "true", folder=folder)
    assert done.returncode == 2 and "no/log: cannot be written" in done.stderr
    assert firedamp("enforce", "none", "--", "true", folder=folder).returncode == 2


def test_an_audit_trail_denies_nothing(folder: Path) -> None:
    (folder / "audit").write_text('fsread: filename match "$CWD/*" then permit log\n')
    done = firedamp("inject", "--policy", "audit", "--", "cat", "a", folder=folder)
    assert (done.returncode, done.stdout) == (0, "one\n")
    assert " permit user: " in done.stderr and f"filename: {folder}/a" in done.stderr


RING = """
#include <fcntl.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>
int main(int count, char **words) {
    char parameters[256];
    memset(parameters, 0, sizeof parameters);
    int ring = syscall(SYS_io_uring_setup, 4, parameters);
    if (ring >= 0) return 9;
    for (int tries = 0; tries < TRIES; tries++) open(words[1], O_RDONLY);
    return 0;
}
"""


@pytest.mark.needs("gcc")
def test_a_ring_passes_by_all_rules_and_is_not_learned(folder: Path) -> None:
    (folder / "ring.c").write_text(RING)
    subprocess.run(["gcc", "-DTRIES=10300", "-o", "ring", "ring.c"], cwd=folder, check=True)
    learned = firedamp("learn", "-o", "p", "--", "./ring", "a", folder=folder)
    assert "exited with 0" in learned.stderr and "a ring's requests pass by all rules" in learned.stderr
    assert "io_uring" not in (folder / "p").read_text()
    done = firedamp("enforce", "--log", "log", "--json", "p", "--", "./ring", "b", folder=folder)
    assert json.loads(done.stdout)["denied"] == 10_301  # all of them, though only the first are listed
    assert "301 more lines are left out" in (folder / "log").read_text().splitlines()[-1]
