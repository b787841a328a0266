"""Landlock as it acts on a process: refused outside, allowed inside, and nothing of ours can be signalled."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from firedamp import jail
from firedamp.errors import EnvironmentFailure

pytestmark = pytest.mark.needs("landlock")

CONFINED = """
import errno, os, sys, socket, signal
from pathlib import Path
from firedamp import jail
inside, outside, confine = Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3] == "confined"
if confine:
    jail.restrict_self(jail.ruleset((inside, inside.parent / "also")))
def said(act):
    try:
        act()
    except OSError as error:
        return errno.errorcode[error.errno]
    return "ok"
def device(name, flags):
    os.close(os.open(name, flags))
def abstract():
    with socket.socket(socket.AF_UNIX) as end:
        end.connect(sys.argv[4])
print({
    "create inside": said(lambda: (inside / "new").write_bytes(b"1")),
    "rename inside": said(lambda: ((inside / "d").mkdir(), os.rename(inside / "new", inside / "d" / "new"))),
    "move between": said(lambda: os.rename(inside / "d" / "new", inside.parent / "also" / "new")),
    "truncate inside": said(lambda: os.truncate(inside / "file", 0)),
    "read outside": said(lambda: (outside / "file").read_bytes()),
    "create outside": said(lambda: (outside / "new").write_bytes(b"1")),
    "open outside": said(lambda: (outside / "file").open("r+b").close()),
    "truncate outside": said(lambda: os.truncate(outside / "file", 0)),
    "unlink outside": said(lambda: (outside / "other").unlink()),
    "link outside": said(lambda: os.symlink("x", outside / "link")),
    "shared memory": said(lambda: device(f"/dev/shm/firedamp-test-{os.getpid()}", os.O_CREAT | os.O_WRONLY)),
    "null": said(lambda: device("/dev/null", os.O_WRONLY | os.O_CREAT | os.O_TRUNC)),
    "full": said(lambda: device("/dev/full", os.O_WRONLY)),
    "signal": said(lambda: os.kill(os.getppid(), signal.SIGUSR1)),
    "signal to self": said(lambda: os.kill(os.getpid(), 0)),
    "abstract socket": said(abstract),
})
Path(f"/dev/shm/firedamp-test-{os.getpid()}").unlink(missing_ok=not confine) if not confine else None
"""
REFUSED_FROM_6 = ("signal", "abstract socket")
REFUSED = ("create outside", "open outside", "unlink outside", "link outside", "shared memory")


def act(tmp_path: Path, mode: str) -> dict[str, str]:
    import ast
    import socket

    for name in ("inside", "outside", "also"):
        (tmp_path / name).mkdir(exist_ok=True)
        (tmp_path / name / "file").write_bytes(b"content")
        (tmp_path / name / "other").write_bytes(b"content")
    previous = signal.signal(signal.SIGUSR1, signal.SIG_IGN)
    try:
        with socket.socket(socket.AF_UNIX) as listener:
            address = f"\0firedamp-test-{os.getpid()}"
            listener.bind(address)
            listener.listen()
            script = CONFINED.replace("sys.argv[4]", repr(address))
            done = subprocess.run(
                [sys.executable, "-c", script, tmp_path / "inside", tmp_path / "outside", mode],
                capture_output=True,
                text=True,
                check=False,
            )
    finally:
        signal.signal(signal.SIGUSR1, previous)
    assert done.returncode == 0, done.stderr
    answers: dict[str, str] = ast.literal_eval(done.stdout)
    return answers


def test_without_confinement_everything_works(tmp_path: Path) -> None:
    assert set(act(tmp_path, "free").values()) == {"ok"}


def test_writes_outside_are_refused_and_inside_allowed(tmp_path: Path) -> None:
    answers = act(tmp_path, "confined")
    refused = {*REFUSED, *(("truncate outside",) if jail.abi() >= 3 else ())}
    assert {name: answers[name] for name in refused} == dict.fromkeys(refused, "EACCES")
    allowed = answers.keys() - refused - set(REFUSED_FROM_6) - {"truncate outside"}
    assert {name: answers[name] for name in allowed} == dict.fromkeys(allowed, "ok")
    assert (tmp_path / "outside" / "file").read_bytes() == b"content"


@pytest.mark.skipif(jail.abi() < 6, reason="needs Landlock 6")
def test_signals_and_abstract_sockets_stay_inside(tmp_path: Path) -> None:
    answers = act(tmp_path, "confined")
    assert {name: answers[name] for name in REFUSED_FROM_6} == dict.fromkeys(REFUSED_FROM_6, "EPERM")


def test_a_single_file_may_be_writable(tmp_path: Path) -> None:
    (tmp_path / "one").write_bytes(b"")
    script = (
        "import sys\nfrom pathlib import Path\nfrom firedamp import jail\none = Path(sys.argv[1])\n"
        "jail.restrict_self(jail.ruleset((one,)))\none.write_bytes(b'yes')\n"
        "try:\n one.with_name('two').write_bytes(b'no')\nexcept PermissionError:\n print('refused')\n"
    )
    done = subprocess.run([sys.executable, "-c", script, tmp_path / "one"], capture_output=True, text=True, check=True)
    assert done.stdout == "refused\n"
    assert (tmp_path / "one").read_bytes() == b"yes"


def test_a_ruleset_is_closed_on_exec_and_level_names_the_version() -> None:
    made = jail.ruleset(())
    assert made is not None
    assert not os.get_inheritable(made)
    os.close(made)
    assert jail.level() == f"landlock {jail.abi()}"


def test_a_folder_that_does_not_exist_is_our_failure(tmp_path: Path) -> None:
    before = len(list(Path("/proc/self/fd").iterdir()))
    with pytest.raises(EnvironmentFailure, match="must exist"):
        jail.ruleset((tmp_path / "missing",))
    assert len(list(Path("/proc/self/fd").iterdir())) == before


def test_old_kernels_are_not_confined_and_it_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    for version, said in ((0, "none: kernel without Landlock"), (1, "none: Landlock 1 would refuse renames")):
        monkeypatch.setattr(jail, "abi", lambda version=version: version)
        assert jail.ruleset(()) is None
        assert jail.level().startswith(said)
