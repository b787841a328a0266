"""firedamp fuzz over several targets and several runs, as a user types it."""

import json
import os
import pty
import re
import select
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import pytest

FIREDAMP = (sys.executable, "-P", "-m", "firedamp")
HARNESS = """
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <stdio.h>
static char kept[64];
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  if (size > 1 && data[0] == 'a') puts("first");
  if (size > 2 && data[1] == 'b') puts("second");
  BUG
  return kept[0] == 1;
}
"""
ESCAPES = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")
SHOWN = ("run time", "last new find", "execs", "corpus", "edges", "survived", "stability 100.0%")
COUNTED = re.compile(r"findings \d+: .*stack-smash")
BUGS = {"smash": "volatile char small[8]; for (size_t i = 0; i < size; i++) small[i] = data[i];", "fine": ";"}
CONFIG = "".join(f'[targets.{name}]\nsources = ["{name}.c"]\nmax_len = 32\nseeds = "seeds"\n' for name in BUGS)


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "firedamp.toml").write_text(CONFIG)
    for name, bug in BUGS.items():
        (tmp_path / f"{name}.c").write_text(HARNESS.replace("BUG", bug))
    (tmp_path / "seeds").mkdir()
    (tmp_path / "seeds" / "one").write_bytes(b"xy")
    return tmp_path


def run(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*FIREDAMP, *words],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=250,
        check=False,
        stdin=subprocess.DEVNULL,
    )


@pytest.mark.slow
@pytest.mark.needs("clang")
@pytest.mark.needs("ptrace")
def test_targets_share_one_budget_and_a_second_run_goes_on(project: Path) -> None:
    first = run(project, "fuzz", "--all", "--time", "8s", "--seed", "1", "--unguarded", "--json")
    assert first.returncode == 1, first.stderr
    body = json.loads(first.stdout)
    assert [each["name"] for each in body["targets"]] == ["smash", "fine"]
    assert all(each["executions"] > 0 for each in body["targets"])
    assert body["executions"] == sum(each["executions"] for each in body["targets"])
    assert {each["target"] for each in body["findings"]} == {"smash"}
    assert body["targets"][1]["stability"] == 1.0
    assert min(each["total_run_s"] for each in body["targets"]) < 7  # turns: never both at a time

    second = run(project, "fuzz", "fine", "--runs", "1000", "--unguarded", "--json")
    assert second.returncode == 0, second.stderr
    again = json.loads(second.stdout)
    assert (again["sessions"], "fine: resumed: " in second.stderr) == (2, True)
    assert again["total_executions"] == body["targets"][1]["executions"] + again["executions"]
    assert (again["executions"], again["stability"]) == (1000, 1.0)  # what stability takes is no part of the search

    told = json.loads(run(project, "journal", "fine", "--json").stdout)
    assert (told["sessions"], told["killed"], told["executions"]) == (2, 0, again["total_executions"])
    assert "start: " in run(project, "journal", "smash").stdout
    assert run(project, "journal", "none").returncode == 2


@pytest.mark.slow
@pytest.mark.needs("clang")
@pytest.mark.needs("ptrace")
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_terminal_shows_what_afl_shows_and_ctrl_c_saves(project: Path) -> None:
    pid, terminal = pty.fork()
    if pid == 0:
        os.chdir(project)
        os.execve(
            FIREDAMP[0], [*FIREDAMP, "fuzz", "smash", "--seed", "1"], {**os.environ, "COLUMNS": "100", "TERM": "xterm"}
        )
    said, ends = b"", time.monotonic() + 60
    plain = ""
    while time.monotonic() < ends and not (all(word in plain for word in SHOWN) and COUNTED.search(plain)):
        if select.select([terminal], [], [], 0.1)[0]:
            said += os.read(terminal, 4096)
            plain = ESCAPES.sub("", said.decode(errors="ignore"))
    os.kill(pid, signal.SIGINT)
    with suppress(OSError):
        while chunk := os.read(terminal, 4096):
            said += chunk
    os.close(terminal)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 130
    for word in SHOWN:
        assert word in plain
    assert COUNTED.search(plain)
    assert "\x1b[" in said.decode()


FULL_DISK = """
mount -t tmpfs -o size=24m none results && trap 'umount results' EXIT
"$@" fuzz fine --runs 1 --unguarded || exit 90
left=$(df -B1 --output=avail results | tail -1)
head -c $((left - 200000)) /dev/zero > results/filler
"$@" fuzz fine --time 60s --runs 50000 --seed 1 --unguarded --json > said.json 2> log &
for n in $(seq 200); do grep -q 'paused' log && break; sleep 0.1; done
grep -q 'paused' log || { cat log; exit 91; }
rm results/filler
wait $! || exit 92
"$@" journal fine
"""


FULL_AT_ONCE = """
mount -t tmpfs -o size=24m none results && trap 'umount results' EXIT
"$@" build smash || exit 90
"$@" fuzz smash --time 40s --runs 100000 --seed 1 --json > said.json 2> log &
for n in $(seq 400); do grep -qs '"start"' results/smash/journal.jsonl && break; sleep 0.05; done
cat /dev/zero > results/filler 2>/dev/null
for n in $(seq 200); do grep -q 'paused' log && break; sleep 0.1; done
rm results/filler
wait $!
echo status $?
"""


@pytest.mark.slow
@pytest.mark.needs("namespaces")
@pytest.mark.needs("clang")
@pytest.mark.needs("ptrace")
def test_what_is_found_when_nothing_can_be_written_is_kept(project: Path) -> None:
    """Not a byte is left from the start of the search on."""
    (project / "results").mkdir()
    words = ["unshare", "-rm", "sh", "-c", FULL_AT_ONCE, "sh", *FIREDAMP]
    done = subprocess.run(words, cwd=project, capture_output=True, text=True, timeout=250, check=False)
    log = (project / "log").read_text()
    assert "status 1" in done.stdout, (done.stdout, done.stderr, log)
    assert "is full" in log and "it goes on by itself" in log
    assert "stack-smash" in {each["kind"] for each in json.loads((project / "said.json").read_text())["findings"]}


@pytest.mark.slow
@pytest.mark.needs("namespaces")
@pytest.mark.needs("clang")
@pytest.mark.needs("ptrace")
def test_a_full_disk_pauses_and_room_lets_it_go_on(project: Path) -> None:
    (project / "results").mkdir()
    done = subprocess.run(
        ["unshare", "-rm", "sh", "-c", FULL_DISK, "sh", *FIREDAMP],
        cwd=project,
        capture_output=True,
        text=True,
        timeout=250,
        check=False,
    )
    log = (project / "log").read_text() if (project / "log").exists() else ""
    assert done.returncode == 0, (done.returncode, done.stderr, log)
    assert "is full (" in log and "it goes on by itself" in log
    assert json.loads((project / "said.json").read_text())["executions"] >= 50_000
    assert "paused: reason the disk is full" in done.stdout and "resumed: reason there is room again" in done.stdout
