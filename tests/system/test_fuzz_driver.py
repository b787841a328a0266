"""The fuzzing child: nothing outlives it, nothing is written outside, whoever dies first."""

import os
import signal
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from firedamp.building.build import build
from firedamp.errors import BuildError
from firedamp.target import Profile, Target, TargetKind
from fuzz.command import plan
from fuzz.flags import CommandLine
from fuzz.plan import Plan
from fuzz.supervisor import Supervisor

pytestmark = pytest.mark.needs("clang")

SOURCE = """
#include <fcntl.h>
#include <stdint.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  static int started;
  char text[16] = "";
  if (size < sizeof text) memcpy(text, data, size);
  if (!started++) {
    pid_t child = fork(); /* a daemon, twice removed; the first execution ends when it is there */
    if (child == 0) { setsid(); if (fork() == 0) for (;;) sleep(1); _exit(0); }
    waitpid(child, 0, 0);
    int fd = open(OUTSIDE, O_WRONLY | O_CREAT, 0600);
    if (fd >= 0) close(fd);
    fd = open("inside", O_WRONLY | O_CREAT, 0600);
    if (fd >= 0) close(fd);
  }
  return text[0] == 1;
}
"""


@contextmanager
def running(tmp_path: Path, *, workdir: Path) -> Iterator[Supervisor]:
    """A child in the middle of a life that has started a daemon."""
    workdir.mkdir(exist_ok=True)
    (tmp_path / "harness.c").write_text(SOURCE)
    target = Target(
        name="t",
        kind=TargetKind.HARNESS,
        root=tmp_path,
        sources=("harness.c",),
        cflags=(f'-DOUTSIDE="{tmp_path / "outside"}"',),
    )
    made = build(target, Profile.HARDENED, compiler="clang", cache=tmp_path / "cache", allow_unguarded=True)
    corpus = workdir / "corpus"
    corpus.mkdir()
    with Supervisor(plan(target, made, folder=workdir, corpus=corpus), max_len=64) as supervisor:
        line = CommandLine(corpus=corpus, seeds=corpus, max_len=64, timeout_s=5, rss_limit_mb=1024)
        supervisor.begin(line.argv(seed=1, runs=None))
        wait_for(lambda: supervisor.monitor.executions > 1000)
        yield supervisor


def wait_for(condition: "object", timeout_s: float = 60.0) -> None:
    assert callable(condition)
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.02)


def family(pid: int) -> list[int]:
    """`pid` and all its descendants that are no zombies, the eldest first."""
    found = [pid]
    for child in sorted(children(pid), key=began):
        found += family(child)
    return found


def children(pid: int) -> list[int]:
    return [task for task in map(int, Path(f"/proc/{pid}/task/{pid}/children").read_text().split()) if alive([task])]


def began(pid: int) -> tuple[int, int]:
    """In ticks of the kernel's clock; within one, numbers tell unless they have just run out."""
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19]), pid


def alive(pids: Iterable[int]) -> set[int]:
    living = set()
    for pid in pids:
        with suppress(OSError):
            if Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX":
                living.add(pid)
    return living


def test_closing_leaves_nobody(tmp_path: Path) -> None:
    with running(tmp_path, workdir=tmp_path / "work") as supervisor:
        everyone = family(supervisor.pid)
        assert len(everyone) == 4  # guardian, init, worker, daemon
    assert alive(everyone) == set()


@pytest.mark.parametrize("victim", ["guardian", "init"])
def test_kill_9_of_one_of_ours_leaves_no_orphan(tmp_path: Path, victim: str) -> None:
    with running(tmp_path, workdir=tmp_path / "work") as supervisor:
        everyone = family(supervisor.pid)
        guardian, init, _, _ = everyone
        os.kill(guardian if victim == "guardian" else init, signal.SIGKILL)
        wait_for(lambda: not alive(everyone))


def test_kill_9_of_the_worker_is_a_death_like_any_other_and_takes_the_daemon_along(tmp_path: Path) -> None:
    with running(tmp_path, workdir=tmp_path / "work") as supervisor:
        guardian, init, worker, daemon = family(supervisor.pid)
        os.kill(worker, signal.SIGKILL)
        end = supervisor.hear(60)
        assert end is not None and end.signal == signal.SIGKILL
        assert alive((worker, daemon)) == set()
        assert alive((guardian, init)) == {guardian, init}


def test_kill_9_of_the_supervisor_leaves_no_orphan(tmp_path: Path) -> None:
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        with suppress(BaseException), running(tmp_path, workdir=tmp_path / "work") as supervisor:
            os.write(writer, " ".join(map(str, family(supervisor.pid))).encode())
            signal.pause()
        os._exit(1)
    os.close(writer)
    everyone = {int(word) for word in os.read(reader, 4096).split()}
    os.close(reader)
    assert len(alive(everyone)) == 4
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    wait_for(lambda: not alive(everyone))


@pytest.mark.needs("landlock")
def test_writes_stay_in_the_private_folder(tmp_path: Path) -> None:
    with running(tmp_path, workdir=tmp_path / "work") as supervisor:
        assert supervisor.confinement.startswith("landlock")
    assert (tmp_path / "work" / "work" / "inside").exists()  # the control: the target did try
    assert not (tmp_path / "outside").exists()


def test_a_library_that_cannot_be_loaded_is_the_users_mistake(tmp_path: Path) -> None:
    (tmp_path / "bad.so").write_bytes(b"no library")
    broken = Plan(
        kind=TargetKind.HARNESS,
        folder=str(tmp_path),
        writable=(str(tmp_path),),
        output_bytes=1 << 20,
        library=str(tmp_path / "bad.so"),
    )
    with pytest.raises(BuildError, match=r"bad\.so"):
        Supervisor(broken, max_len=8)
