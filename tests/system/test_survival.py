"""kill -9 of any of our processes, Ctrl-C, a full disk: no orphan is left, and nothing that was kept is lost."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from firedamp import reproducer_file
from firedamp.room import Room
from firedamp.room.lodging import SHARED_MEMORY
from firedamp.store import Store

FIREDAMP = (sys.executable, "-P", "-m", "firedamp")
MARK = "SURVIVAL_TEST"  # in the environment of everything that a test starts, and so of whatever outlives it
PATIENCE_S = 100.0
ENDS_S = 60.0

# Each input that begins with D leaves a daemon behind, in a session of its own.
DAEMONS = """
#include <stddef.h>
#include <stdint.h>
#include <unistd.h>
__attribute__((noinline)) void set_name(const uint8_t *data, size_t size) {
  volatile char name[16];
  for (size_t i = 0; i < size; i++) name[i] = data[i];
}
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  static int daemons;
  if (size && data[0] == 'D' && daemons++ < 4 && fork() == 0) {
    setsid();
    if (fork() == 0)
      for (;;) sleep(3600);
    _exit(0);
  }
  set_name(data, size);
  return 0;
}
"""
# A fresh process of the target waits here until it is let in: a file named after it is put into the folder.
GATE = """
#define _GNU_SOURCE
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
static void wait_at_the_gate(void) {
  const char *gate = getenv("SURVIVAL_GATE");
  char path[4096];
  if (!gate || strcmp(program_invocation_short_name, "replay")) return;
  snprintf(path, sizeof path, "%s/%d", gate, getpid());
  while (access(path, F_OK)) usleep(1000);
}
"""
CONFIG = '[targets.daemons]\nsources = ["daemons.c"]\nmax_len = 40\ntimeout_s = 2\nseeds = "seeds"\n'
FUZZ = ("fuzz", "daemons", "--time", "200s", "--seed", "1", "--json")
# Where the last file fails, and it does so in every second run, time must run out: a minute at least, on any machine.
WRITES = "echo hello > out$n.txt || [ $n -lt 4 ] || sleep 3600"
SWEEP = (
    *("sweep", "--json", "--timeout", "2s", "--workers", "2", "--syscall", "openat", "--syscall", "write", "--"),
    *("sh", "-c", f"setsid sleep 3600 >/dev/null & for n in 1 2 3 4; do {WRITES}; done; exit 0"),
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One project for all tests, so that later ones begin with what earlier ones found."""
    path = tmp_path_factory.mktemp("project")
    (path / "firedamp.toml").write_text(CONFIG)
    (path / "daemons.c").write_text(DAEMONS)
    (path / "seeds").mkdir()
    (path / "seeds" / "daemon").write_bytes(b"Daemon")
    return path


def marked(mark: str) -> dict[int, str]:
    """The command line of every process that carries our mark and is no zombie."""
    found = {}
    for entry in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if f"{MARK}={mark}".encode() in (entry / "environ").read_bytes().split(b"\0"):
                found[int(entry.name)] = (
                    (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode("utf-8", "replace")
                )
    return found


def parent(pid: int) -> int:
    with suppress(OSError):
        return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    return 0


def eventually(condition: Callable[[], bool], seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


def kept(folder: Path) -> dict[str, Path]:
    """What the database names: id -> reproducer. Each one is read, so a torn file fails here."""
    path = folder / "results" / "findings.db"
    if not path.is_file():
        return {}
    with Store(path) as store:
        found = {each.id: Path(each.reproducer) for each in store.findings()}
    for each in found.values():
        assert reproducer_file.read(each).payload
    return found


class Running:
    """A command of ours in its midst: it has kept a finding."""

    def __init__(self, folder: Path, words: tuple[str, ...], **environment: str) -> None:
        self.folder = folder
        self.mark = f"{os.getpid()}-{time.monotonic_ns()}"
        self.process = subprocess.Popen(
            [*FIREDAMP, *words],
            cwd=folder,
            env={**os.environ, **environment, MARK: self.mark, "TMPDIR": str(temporary(folder))},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def alive(self) -> bool:
        return self.process.poll() is None

    def wait_for(self, condition: Callable[[], bool]) -> None:
        assert eventually(lambda: condition() or not self.alive(), PATIENCE_S), "waited in vain"
        assert self.alive(), self.process.communicate()

    def find(self, role: str) -> int | None:
        """One of ours by its role; `worker` is the process in which the target runs."""
        everyone = marked(self.mark)
        guardian = next(
            (pid for pid in everyone if parent(pid) == self.process.pid and "fuzz.driver" in everyone[pid]), 0
        )
        init = next((pid for pid in everyone if parent(pid) == guardian), 0)
        tracers = [pid for pid in everyone if parent(pid) == self.process.pid and "trace.worker" in everyone[pid]]
        tree: dict[str, Callable[[], int | None]] = {
            "command": lambda: self.process.pid,
            "guardian": lambda: guardian or None,
            "init": lambda: init or None,
            "worker": lambda: next((pid for pid in everyone if parent(pid) == init and init), None),
            "tracer": lambda: next(iter(tracers), None),
        }
        return tree[role]()

    def there(self, find: Callable[[], int | None]) -> int:
        """Waits for it."""
        pid: int | None = None

        def is_there() -> bool:
            nonlocal pid
            pid = find()
            return pid is not None

        self.wait_for(is_there)
        assert pid is not None
        return pid

    def kill(self, role: str) -> int:
        pid = self.there(lambda: self.find(role))
        os.kill(pid, signal.SIGKILL)
        return pid

    def waiting(self, gate: Path) -> int:
        """The next fresh process that waits at the gate."""

        def find() -> int | None:
            replays = (pid for pid, words in marked(self.mark).items() if words.partition(" ")[0].endswith("/replay"))
            return next((pid for pid in replays if not (gate / str(pid)).exists()), None)

        return self.there(find)

    def everyone_is_gone(self) -> bool:
        return eventually(lambda: not marked(self.mark), ENDS_S)

    def close(self) -> None:
        for pid in marked(self.mark):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self.process.communicate()


@pytest.fixture
def start(folder: Path) -> Iterator[Callable[..., Running]]:
    """Start a command; what a failing test leaves behind is ended here."""
    started: list[Running] = []

    def begin(*words: str) -> Running:
        running = Running(folder, words)
        started.append(running)
        return running

    yield begin
    for each in started:
        each.close()


def temporary(folder: Path) -> Path:
    """Where our processes put what they need for a while, when it is not in shared memory."""
    path = folder / "tmp"
    path.mkdir(exist_ok=True)
    return path


def journal_grows(folder: Path, target: str) -> Callable[[], bool]:
    path = folder / "results" / target / "journal.jsonl"
    before = path.stat().st_size if path.is_file() else 0
    return lambda: path.is_file() and b'"finding"' in path.read_bytes()[before:]


@pytest.mark.slow
@pytest.mark.needs("clang")
@pytest.mark.needs("ptrace")
@pytest.mark.parametrize("delay_s", [0.0, 0.35])
def test_kill_9_of_the_command_while_fuzzing(folder: Path, start: Callable[..., Running], delay_s: float) -> None:
    has_found = journal_grows(folder, "daemons")
    running = start(*FUZZ)
    running.wait_for(lambda: has_found() and len(marked(running.mark)) >= 5)
    before = kept(folder)
    time.sleep(delay_s)
    running.kill("command")
    running.process.communicate()
    assert running.everyone_is_gone(), marked(running.mark)
    assert before and before.items() <= kept(folder).items()
    no_room_is_left(running)


@pytest.mark.slow
@pytest.mark.needs("clang")
@pytest.mark.needs("ptrace")
@pytest.mark.parametrize("let_in", [0, 1, 3])
def test_what_was_seen_before_a_kill_is_found_by_the_next_run(tmp_path: Path, let_in: int) -> None:
    """Killed between the detection and its place in the database, which takes a fresh process and three replays."""
    (tmp_path / "firedamp.toml").write_text(CONFIG.replace('seeds = "seeds"\n', "").replace("timeout_s = 2", ""))
    source = DAEMONS.replace("'D'", "'D' && 0").replace("  set_name(data", "  wait_at_the_gate();\n  set_name(data")
    (tmp_path / "daemons.c").write_text(GATE + source)
    results = tmp_path / "results" / "daemons"
    gate = tmp_path / "gate"
    gate.mkdir()
    running = Running(tmp_path, FUZZ, SURVIVAL_GATE=str(gate))
    try:
        for _ in range(let_in):
            (gate / str(running.waiting(gate))).touch()
        running.waiting(gate)
        assert any((results / "pending").glob("[0-9a-f]*"))
        running.kill("command")
        running.process.communicate()
        assert running.everyone_is_gone(), marked(running.mark)
    finally:
        running.close()
    done = subprocess.run(
        [*FIREDAMP, "fuzz", "daemons", "--runs", "1", "--json"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1, done.stderr
    assert "stack-smash" in {each["kind"] for each in json.loads(done.stdout)["findings"]}
    assert "1 of 1 run killed" in done.stderr
    assert not any((results / "pending").iterdir())


def no_room_is_left(running: Running) -> None:
    """The next start of anything of ours sweeps the rooms of the dead."""
    with Room(None):
        assert not list(SHARED_MEMORY.glob(f"firedamp-{running.process.pid}-*"))
    with Room(None, temporary(running.folder)):
        pass
    assert not list(temporary(running.folder).iterdir())


@pytest.mark.slow
@pytest.mark.needs("clang")
@pytest.mark.needs("ptrace")
@pytest.mark.parametrize("role", ["guardian", "init", "worker", "tracer"])
def test_kill_9_of_a_fuzzing_process(folder: Path, start: Callable[..., Running], role: str) -> None:
    has_found = journal_grows(folder, "daemons")
    running = start(*FUZZ)
    running.wait_for(lambda: has_found() and len(marked(running.mark)) >= 5)
    before = kept(folder)
    killed = running.kill(role)

    def is_replaced() -> bool:
        return running.find(role) not in (None, killed)

    if role == "tracer":
        eventually(is_replaced, 5.0)  # when it is needed again, and that is less and less often
    else:
        running.wait_for(is_replaced)
    running.wait_for(lambda: running.find("worker") is not None)
    running.process.send_signal(signal.SIGINT)
    out, err = running.process.communicate(timeout=PATIENCE_S)
    assert running.process.returncode == 130, err
    assert "Traceback" not in err
    assert json.loads(out)["interrupted"] is True
    assert (role in ("guardian", "init")) == ("was killed from outside and replaced" in err)
    assert running.everyone_is_gone(), marked(running.mark)
    assert before and before.keys() <= kept(folder).keys()
    no_room_is_left(running)


@pytest.mark.slow
@pytest.mark.needs("ptrace")
@pytest.mark.needs("seccomp")
@pytest.mark.parametrize(("role", "delay_s"), [("command", 0.0), ("command", 0.4), ("tracer", 0.0), ("tracer", 0.7)])
def test_kill_9_while_sweeping(folder: Path, start: Callable[..., Running], role: str, delay_s: float) -> None:
    has_found = journal_grows(folder, "sh")
    running = start(*SWEEP)
    running.wait_for(has_found)
    before = kept(folder)
    time.sleep(delay_s)
    running.kill(role)
    if not eventually(lambda: not running.alive(), 2.0):  # a tracer that died between two runs was replaced
        running.process.send_signal(signal.SIGINT)
    _, err = running.process.communicate(timeout=PATIENCE_S)
    if role == "tracer":
        told = {3: "the tracer", 130: ""}
        assert told[running.process.returncode] in err
    assert "Traceback" not in err
    assert running.everyone_is_gone(), marked(running.mark)
    assert before and before.keys() <= kept(folder).keys()
    no_room_is_left(running)


@pytest.mark.slow
@pytest.mark.needs("ptrace")
@pytest.mark.needs("seccomp")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_sweep_is_130_and_saved(
    folder: Path, start: Callable[..., Running], number: signal.Signals
) -> None:
    has_found = journal_grows(folder, "sh")
    running = start(*SWEEP)
    running.wait_for(has_found)
    running.process.send_signal(number)
    out, err = running.process.communicate(timeout=PATIENCE_S)
    assert running.process.returncode == 130, err
    report = json.loads(out)
    assert report["complete"] is False
    assert report["findings"]
    assert {each["id"] for each in report["findings"]} <= kept(folder).keys()
    assert running.everyone_is_gone(), marked(running.mark)


@pytest.mark.slow
@pytest.mark.needs("ptrace")
@pytest.mark.needs("seccomp")
def test_two_sweeps_on_one_results_folder_at_once(folder: Path, start: Callable[..., Running]) -> None:
    both = [start(*SWEEP[:-1], f"echo {word} > {word}.txt; exit 0") for word in ("a", "b")]
    reports = []
    for each in both:
        out, err = each.process.communicate(timeout=250)
        assert each.process.returncode == 1, err
        reports.append(json.loads(out))
    found = {finding["id"] for report in reports for finding in report["findings"]}
    assert found and found <= kept(folder).keys()


FULL_DISK = """
mount -t tmpfs -o size=2m none results && trap 'umount results' EXIT
"$@" sweep $SWEEP sh -c 'echo one > one.txt; exit 0' && exit 90
cat /dev/zero > results/filler 2>/dev/null
"$@" findings --json > before.json || exit 91
"$@" sweep $SWEEP sh -c 'echo two > two.txt; echo three > three.txt; exit 0'
echo status $?
"$@" findings --json > after.json || exit 92
cat results/sh/findings/*/faults.policy > kept.policy
rm results/filler
"$@" sweep $SWEEP sh -c 'echo two > two.txt; echo three > three.txt; exit 0' >/dev/null
echo status $?
"""


@pytest.mark.slow
@pytest.mark.needs("namespaces")
@pytest.mark.needs("ptrace")
@pytest.mark.needs("seccomp")
def test_a_full_disk_is_3_and_what_was_kept_can_be_read(tmp_path: Path) -> None:
    (tmp_path / "results").mkdir()
    words = "--syscall write --syscall openat --json --"
    done = subprocess.run(
        ["unshare", "-rm", "sh", "-c", FULL_DISK, "sh", *FIREDAMP],
        cwd=tmp_path,
        env={**os.environ, "SWEEP": words},
        capture_output=True,
        text=True,
        timeout=250,
        check=False,
    )
    assert done.returncode == 0, (done.returncode, done.stderr)
    assert [line for line in done.stdout.splitlines() if line.startswith("status")] == ["status 3", "status 1"]
    assert "the disk is full: free some space and run again; what was kept is kept" in done.stderr
    assert "Traceback" not in done.stderr
    before, after = (json.loads((tmp_path / name).read_text())["findings"] for name in ("before.json", "after.json"))
    assert before
    assert [each["id"] for each in after] == [each["id"] for each in before]
    assert (tmp_path / "kept.policy").read_text().startswith("# firedamp policy")
