"""The machine code, and the tables that it runs."""

import errno
import os
import subprocess
from pathlib import Path

import pytest

from firedamp.errors import UsageError
from firedamp.trace import spawn
from firedamp.trace.launch import find_program
from firedamp.trace.spawn import Row, Spawner

EXIT, GETPID, CLOSE, EXECVE = 231, 39, 3, 59


@pytest.mark.needs("as", "objcopy")
def test_the_code_is_what_the_listing_says(tmp_path: Path) -> None:
    source = tmp_path / "launch.s"
    source.write_text(spawn.LISTING)
    subprocess.run(["as", "-o", tmp_path / "launch.o", source], check=True)
    subprocess.run(["objcopy", "-O", "binary", "-j", ".text", tmp_path / "launch.o", tmp_path / "launch"], check=True)
    assert (tmp_path / "launch").read_bytes() == spawn.CODE


@pytest.fixture
def spawner() -> Spawner:
    made = Spawner()
    made.reset(8)
    return made


def status_of(spawner: Spawner, *rows: Row) -> int:
    _, status = os.waitpid(spawner.start(rows), 0)
    return os.waitstatus_to_exitcode(status)


def test_rows_run_in_order(spawner: Spawner) -> None:
    assert status_of(spawner, Row(GETPID), Row(EXIT, (42,)), Row(EXIT, (43,))) == 42
    assert spawner.failure() is None


def test_a_failing_row_is_told_by_index_and_errno(spawner: Spawner) -> None:
    broken = Row(CLOSE, (99999,), what="close")
    assert status_of(spawner, Row(GETPID), broken, Row(EXIT, (0,))) == 127
    failure = spawner.failure()
    assert failure is not None
    assert (failure.row, failure.errno) == (broken, errno.EBADF)


def test_a_tolerated_errno_is_passed_over_and_only_that_one(spawner: Spawner) -> None:
    assert status_of(spawner, Row(CLOSE, (99999,), tolerated=errno.EBADF), Row(EXIT, (5,))) == 5
    spawner.reset(8)
    assert status_of(spawner, Row(CLOSE, (99999,), tolerated=errno.EPERM), Row(EXIT, (5,))) == 127


def test_the_gate_holds_the_child_until_it_is_released(spawner: Spawner) -> None:
    pid = spawner.start([spawner.gate(), Row(EXIT, (7,))])
    assert os.waitpid(pid, os.WNOHANG) == (0, 0)
    spawner.release()
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 7


def test_arguments_and_environment_arrive(spawner: Spawner, tmp_path: Path) -> None:
    out = tmp_path / "out"
    argv = spawner.strings([b"sh", b"-c", b'printf "%s|%s" "$0 $1" "$V" > "$OUT"', b"a b", b""])
    environment = spawner.strings([b"V=\xff\x01", b"OUT=" + os.fsencode(out)])
    assert status_of(spawner, Row(EXECVE, (spawner.blob(b"/bin/sh\0"), argv, environment))) == 0
    assert out.read_bytes() == b"a b |\xff\x01"


def test_what_does_not_fit_is_said(spawner: Spawner) -> None:
    with pytest.raises(OSError, match="do not fit"):
        spawner.blob(bytes(1 << 23))


def test_find_program(tmp_path: Path) -> None:
    (tmp_path / "bin").mkdir()
    plain = tmp_path / "bin" / "tool"
    plain.write_text("")
    with pytest.raises(UsageError, match="no executable file"):
        find_program(("tool",), {"PATH": f"/nonexistent:{plain.parent}"}, tmp_path)
    plain.chmod(0o755)
    assert find_program(("tool",), {"PATH": f"/nonexistent:{plain.parent}"}, Path("/")) == plain
    assert find_program(("tool",), {"PATH": "bin"}, tmp_path) == plain
    assert find_program(("bin/tool",), {}, tmp_path) == plain
    with pytest.raises(UsageError, match="not found in PATH"):
        find_program(("tool",), {"PATH": "/nonexistent"}, tmp_path)
    with pytest.raises(UsageError, match="empty"):
        find_program((), {}, tmp_path)
    with pytest.raises(UsageError, match="no executable file"):
        find_program(("./bin",), {}, tmp_path)
