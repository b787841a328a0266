"""A rule that says `ask`: the person at the terminal decides.

The question goes to /dev/tty, whatever the program's streams are. The program may be in the foreground there, and may
have changed the terminal's modes: both are ours for the time of the question, and put back after it. Where there is no
terminal, or nobody answers in time, the answer is no, and is said.
"""

import errno
import os
import select
import signal
import termios
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Final

PATIENCE_S: Final = 30.0
INTERRUPT: Final = b"\x03"  # Ctrl-C
INPUT, OUTPUT, LOCAL = 0, 1, 3  # of the list that termios(3) gives Python


class Reply(StrEnum):
    PERMIT = "permit"
    DENY = "deny"
    PERMIT_ALWAYS = "permit always"
    DENY_ALWAYS = "deny always"


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    permitted: bool
    reason: str  # for the log


@dataclass(slots=True)
class Questions:
    """Of one run, with what was answered for always: to the same question of the same program."""

    settled: dict[tuple[str, ...], bool] = field(default_factory=dict)

    def ask(self, facts: tuple[str, ...], process: str, patience_s: float) -> Answer:
        """`facts`: the lines that make this question the same as another one; `process` is for this time only."""
        if facts in self.settled:
            return Answer(permitted=self.settled[facts], reason="as answered for always")
        text = "\n  ".join((f"firedamp asks, for {process}:", *facts))
        try:
            reply = _put(f"\n{text}\n{', '.join(Reply)}? (denied after {patience_s:g} s) ", patience_s)
        except OSError as error:
            return Answer(permitted=False, reason=f"there is no terminal to ask on ({error.strerror})")
        if reply is None:
            return Answer(permitted=False, reason=f"nobody answered within {patience_s:g} s")
        permitted = reply in (Reply.PERMIT, Reply.PERMIT_ALWAYS)
        if reply in (Reply.PERMIT_ALWAYS, Reply.DENY_ALWAYS):
            self.settled[facts] = permitted
        return Answer(permitted=permitted, reason=f"answered: {reply}")


class _Interrupted(Exception):
    """Ctrl-C instead of an answer."""


def _put(text: str, patience_s: float) -> Reply | None:
    """None: nobody answered. OSError: there is no terminal, or it is somebody else's."""
    terminal = os.open("/dev/tty", os.O_RDWR | os.O_NOCTTY | os.O_CLOEXEC)
    try:
        group = _owner(terminal)
        with _foreground(terminal, group), _by_lines(terminal):
            return _reply(terminal, text, time.monotonic() + patience_s)
    except _Interrupted:
        os.killpg(group, signal.SIGINT)  # it would have got it, had we not asked
        return Reply.DENY
    finally:
        os.close(terminal)


def _reply(terminal: int, text: str, deadline_s: float) -> Reply | None:
    termios.tcflush(terminal, termios.TCIFLUSH)  # what was typed for the program is no answer
    while True:
        os.write(terminal, text.encode("utf-8", "surrogateescape"))
        ready, _, _ = select.select([terminal], [], [], max(0.0, deadline_s - time.monotonic()))
        if not ready:
            os.write(terminal, b"\n")
            return None
        line = os.read(terminal, 256)
        if INTERRUPT in line:
            raise _Interrupted
        if not line:
            raise OSError(errno.EIO, "it was closed")
        words = " ".join(line.decode("utf-8", "replace").lower().split())
        if words in tuple(Reply):
            return Reply(words)
        text = f"{', '.join(Reply)}? "


def _owner(terminal: int) -> int:
    """The group in the foreground, where we may take its place: ours, firedamp's, or one of the program's."""
    group = os.tcgetpgrp(terminal)
    if group in (os.getpgrp(), os.getpgid(os.getppid())) or _tracer(group) == os.getpid():
        return group
    raise OSError(errno.EPERM, "firedamp runs in the background")


def _tracer(pid: int) -> int:
    try:
        lines = Path(f"/proc/{pid}/status").read_text(errors="replace").splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) for line in lines if line.startswith("TracerPid:")), 0)


@contextmanager
def _foreground(terminal: int, group: int) -> Iterator[None]:
    """Who is not there and reads is stopped by SIGTTIN; SIGTTOU would stop us at the change itself (tcsetpgrp(3))."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTTOU})
    try:
        os.tcsetpgrp(terminal, os.getpgrp())
        try:
            yield
        finally:
            os.tcsetpgrp(terminal, group)
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


@contextmanager
def _by_lines(terminal: int) -> Iterator[None]:
    """Whole lines, echoed, Ctrl-C as a character: a program may have left the terminal in any mode."""
    before = termios.tcgetattr(terminal)
    modes = list(before)
    modes[INPUT] |= termios.ICRNL
    modes[OUTPUT] |= termios.OPOST | termios.ONLCR
    modes[LOCAL] = (modes[LOCAL] | termios.ICANON | termios.ECHO) & ~termios.ISIG
    termios.tcsetattr(terminal, termios.TCSANOW, modes)
    try:
        yield
    finally:
        termios.tcsetattr(terminal, termios.TCSANOW, before)
