"""How a run ended, in words and as the exit status that a shell would give it."""

import signal
from typing import assert_never

from firedamp.outcome import Ending, Exited, Killed, OutOfMemory, TimedOut
from firedamp.target import MEBIBYTE

OUT_OF_TIME = 124  # as timeout(1) has it
OUT_OF_MEMORY = 128 + signal.SIGKILL  # as after the kernel's own killer


def words_of(ending: Ending) -> str:
    match ending:
        case Exited(status=status):
            return f"exited with {status}"
        case Killed(signal=number):
            return f"killed by {_signal(number)}"
        case TimedOut(limit=limit, stall=stall):
            return f"stopped by us: out of {limit} time ({stall})"
        case OutOfMemory(resident_bytes=size):
            return f"stopped by us: {size // MEBIBYTE} MiB resident"
        case _:
            assert_never(ending)


def status_of(ending: Ending) -> int:
    match ending:
        case Exited(status=status):
            return status
        case Killed(signal=number):
            return 128 + number
        case TimedOut():
            return OUT_OF_TIME
        case OutOfMemory():
            return OUT_OF_MEMORY
        case _:
            assert_never(ending)


def _signal(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
