"""The names that a policy may use for calls, errnos, signals and lengths of time; each refusal says what was meant."""

import re
import signal
from typing import Final

from inject.linux import syscalls

ALLOCATION: Final = "malloc"  # no system call: an allocation of the C library, whatever it asks of the kernel
ALLOCATING: Final = ("brk", "mmap", "mremap")
NANOSECONDS: Final = {"s": 1_000_000_000, "ms": 1_000_000, "us": 1_000, "ns": 1}
LONGEST_DELAY_NS: Final = 86_400 * NANOSECONDS["s"]  # a day: beyond it a typing error is likelier than a wish


def members(name: str) -> tuple[str, ...] | None:
    """The system calls that a rule's name stands for; empty for a BSD call that Linux lacks; None if unknown."""
    if name.startswith("%"):
        return syscalls.in_class(name[1:]) or None
    if name.endswith("@64"):  # strace's way to name one call of one ABI: no family
        bare = name.removesuffix("@64")
        return (bare,) if bare in syscalls.table() else None
    if name == ALLOCATION:
        return ALLOCATING
    for names in (syscalls.families(), syscalls.bsd()):
        if name in names:
            return names[name]
    return (name,) if name in syscalls.table() else None


def unknown_call(name: str) -> str:
    """The message about a name that `members` does not know."""
    if name.startswith("%"):
        labels = sorted("%" + label for label in syscalls.classes())
        return f"{name} is no class of system calls{syscalls.close_to(name, labels)}"
    known = {ALLOCATION, *syscalls.table(), *syscalls.families(), *syscalls.bsd()}
    return f"{name!r} is no system call of x86-64 Linux{syscalls.close_to(name.removesuffix('@64'), known)}"


def unknown_errno(text: str) -> str:
    return f"{text!r} is no errno{syscalls.suggest_errno(text)} (a name such as ENOSPC, or 1..{syscalls.LAST_ERRNO})"


def signal_number(text: str) -> int | None:
    """SIGUSR1, usr1 or 10 -> 10; None when there is no such signal."""
    if text.isascii() and text.isdigit():
        return int(text) if len(text) <= 2 and 1 <= int(text) <= signal.SIGRTMAX else None
    upper = text.upper()
    found = signal.Signals.__members__.get(upper if upper.startswith("SIG") else f"SIG{upper}")
    return int(found) if found else None


def unknown_signal(text: str) -> str:
    return f"{text!r} is no signal{syscalls.close_to(text.upper(), signal.Signals.__members__)} (1..64, or a name)"


def signal_name(number: int) -> str:
    return signal.Signals(number).name if number in signal.Signals.__members__.values() else str(number)


def duration_ns(text: str, default: str | None = None) -> int | None:
    """5ms, 2s, 10us, 7ns -> nanoseconds; a bare number is in `default` units. None when it is no length of time."""
    found = re.fullmatch(r"([0-9]{1,12})(s|ms|us|ns)?", text)
    unit = (found[2] or default) if found else None
    if found is None or unit is None:
        return None
    nanoseconds = int(found[1]) * NANOSECONDS[unit]
    return nanoseconds if nanoseconds <= LONGEST_DELAY_NS else None


def duration(nanoseconds: int) -> str:
    """The shortest way to write it."""
    unit, size = next((unit, size) for unit, size in NANOSECONDS.items() if nanoseconds % size == 0)
    return f"{nanoseconds // size}{unit}"
