"""inject on a terminal: /dev/tty, Ctrl-C and job control are the program's, as in a shell; `ask` borrows it."""

import os
import pty
import select
import subprocess
import sys
import time
from pathlib import Path

import pytest

pytestmark = [
    pytest.mark.needs("ptrace"),
    pytest.mark.needs("seccomp"),
    pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning"),
]

INJECT = (sys.executable, "-m", "firedamp", "inject", "--results", "r", "--exit-status", "program", "-e")
HARMLESS = "inject=fsync:error=EIO"
LIMIT_S = 100.0


def converse(folder: Path, rule: str, script: str, *turns: tuple[bytes, bytes]) -> tuple[int, str]:
    """The command on a terminal of its own; once its output holds the first of a turn, the second is typed."""
    pid, terminal = pty.fork()
    if pid == 0:
        os.chdir(folder)
        os.execv(INJECT[0], (*INJECT, rule, "--", "sh", "-c", script))
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
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), said.decode().replace("\r\n", "\n")


def test_a_program_talks_to_the_terminal(tmp_path: Path) -> None:
    script = "echo ready > /dev/tty; read word < /dev/tty; echo got $word"
    status, said = converse(tmp_path, HARMLESS, script, (b"ready", b"this\n"))
    assert (status, "got this" in said) == (0, True), said


def test_control_c_is_the_programs_to_answer(tmp_path: Path) -> None:
    script = "trap 'echo caught; exit 7' INT; echo ready; while :; do sleep 0.1; done"
    status, said = converse(tmp_path, HARMLESS, script, (b"ready", b"\x03"))
    assert (status, "caught" in said) == (7, True), said


# --- ask

MAKE = "for name in a b c; do mkdir $name 2> /dev/null && echo made $name || echo no $name; done"


def test_the_answer_decides_and_another_call_is_another_question(tmp_path: Path) -> None:
    mistaken = ((b"/c\r\n", b"perhaps\n"), (b"perhaps\r\npermit,", b"PERMIT\n"))
    turns = ((b"/a\r\n", b"permit\n"), (b"/b\r\n", b"deny\n"), *mistaken)
    _, said = converse(tmp_path, "mkdir: ask", MAKE, *turns)
    assert ("made a" in said, "no b" in said, "made c" in said) == (True, True, True), said
    assert "firedamp asks, for process" in said and f"filename: {tmp_path}/a" in said and "mode: 777" in said
    assert "deny user: " in said and "answered: deny" in said


def test_always_is_for_the_same_question(tmp_path: Path) -> None:
    script = "mkdir a; rmdir a; mkdir a && echo again; mkdir b; mkdir b; mkdir b; echo over"
    turns = ((b"/a\r\n", b"permit always\n"), (b"/b\r\n", b"deny always\n"))
    _, said = converse(tmp_path, "mkdir: ask", script, *turns)
    assert "again" in said and said.count("firedamp asks") == 2
    assert said.count("as answered for always") == 3 and not (tmp_path / "b").exists()


def test_a_program_in_raw_mode_is_asked_about_and_gets_its_terminal_back(tmp_path: Path) -> None:
    script = "stty raw -echo; mkdir a; stty -a | grep -o -- '-icanon'; stty sane; read word < /dev/tty; echo got $word"
    turns = ((b"/a", b"permit\n"), (b"-icanon", b""), (b"-icanon", b"this\n"))
    _, said = converse(tmp_path, "mkdir: ask", script, *turns)
    assert (tmp_path / "a").is_dir() and "-icanon" in said and "got this" in said, said


def test_control_c_at_a_question_is_for_the_program(tmp_path: Path) -> None:
    script = "trap 'echo caught; exit 7' INT; mkdir a; echo went on; sleep 5"
    status, said = converse(tmp_path, "mkdir: ask", script, (b"/a\r\n", b"\x03\n"))
    assert (status, "caught" in said, (tmp_path / "a").exists()) == (7, True, False), said


def test_nobody_answers(tmp_path: Path) -> None:
    begin_s = time.monotonic()
    _, said = converse(tmp_path, "mkdir: ask[200ms]", MAKE)
    assert said.count("nobody answered within 0.2 s") == 3 and "made" not in said and time.monotonic() - begin_s < 20


def test_without_a_terminal_the_answer_is_no(tmp_path: Path) -> None:
    words = [*INJECT, "mkdir: ask", "--", "mkdir", "a"]
    quiet = {"stdin": subprocess.DEVNULL, "capture_output": True, "start_new_session": True}
    done = subprocess.run(words, cwd=tmp_path, text=True, check=False, **quiet)
    assert done.returncode == 1 and not (tmp_path / "a").exists()
    assert "there is no terminal to ask on" in done.stderr
