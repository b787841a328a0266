"""The terminal that a program shares with us: in our process group /dev/tty, job control and Ctrl-C work as in a shell.

Only for a run that borrows our streams, and only while we are in the foreground. Elsewhere a program gets a session of
its own, so that a signal to its whole group (kill 0) does not end us as well.
"""

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager

KEYS = (signal.SIGINT, signal.SIGQUIT)  # what Ctrl-C and Ctrl-\ send to everybody in the foreground


def foreground_group() -> int | None:
    """Our process group, where it is the foreground one of a terminal."""
    try:
        terminal = os.open("/dev/tty", os.O_RDWR | os.O_NOCTTY | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        group = os.getpgrp()
        return group if os.tcgetpgrp(terminal) == group else None
    except OSError:  # it was hung up
        return None
    finally:
        os.close(terminal)


@contextmanager
def keys_for_the_program() -> Iterator[None]:
    """Ctrl-C is the program's to answer, for it may catch it; we go on until it ends."""
    before = {number: signal.signal(number, lambda *_: None) for number in KEYS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
