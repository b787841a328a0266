"""inject on a terminal: /dev/tty, Ctrl-C and job control are the program's, as in a shell."""

import os
import pty
import select
import sys
import time

import pytest

pytestmark = [pytest.mark.needs("ptrace"), pytest.mark.needs("seccomp")]

INJECT = (sys.executable, "-m", "firedamp", "inject", "--results", "r", "-e", "inject=fsync:error=EIO", "--exit-status")
LIMIT_S = 30.0


def converse(folder: str, script: str, *turns: tuple[bytes, bytes]) -> tuple[int, bytes]:
    """The command on a terminal of its own; once its output holds the first of a turn, the second is typed."""
    pid, terminal = pty.fork()
    if pid == 0:
        os.chdir(folder)
        os.execv(INJECT[0], (*INJECT, "program", "--", "sh", "-c", script))
    said, due, end_s = b"", list(turns), time.monotonic() + LIMIT_S
    while time.monotonic() < end_s:
        if select.select([terminal], [], [], 0.1)[0]:
            try:
                said += os.read(terminal, 4096)
            except OSError:  # the last one who had it open is gone
                break
        if due and due[0][0] in said:
            os.write(terminal, due.pop(0)[1])
    else:
        os.kill(pid, 9)
    os.close(terminal)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), said


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_program_talks_to_the_terminal(tmp_path: os.PathLike[str]) -> None:
    script = "echo ready > /dev/tty; read word < /dev/tty; echo got $word"
    status, said = converse(str(tmp_path), script, (b"ready", b"this\n"))
    assert (status, b"got this" in said) == (0, True), said


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_control_c_is_the_programs_to_answer(tmp_path: os.PathLike[str]) -> None:
    script = "trap 'echo caught; exit 7' INT; echo ready; while :; do sleep 0.1; done"
    status, said = converse(str(tmp_path), script, (b"ready", b"\x03"))
    assert (status, b"caught" in said) == (7, True), said
