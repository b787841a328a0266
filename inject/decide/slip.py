"""A name that another thread rewrote while its call was being checked: the kernel may have looked up another one.

Nothing stops that from outside the kernel (Garfinkel, Traps and Pitfalls, NDSS 2003), so the names are read once more
when the call is over, and a difference is told. Asked only of a process with several threads.
"""

from pathlib import Path
from typing import Final

from firedamp.trace.protocol import Call
from inject.linux import syscalls
from inject.linux.arguments import ADDRESSED, ARGV, argv
from inject.linux.syscalls import Kind, Syscall

LONGEST_SOCKADDR: Final = 128  # sizeof(struct sockaddr_storage)
OVERWRITTEN: Final = ("readlink", "readlinkat")  # a program may let the answer take the place of the name

Spoken = tuple[bytes, ...]  # what the call says in the program's memory


def spoken(call: Call, facts: Syscall) -> Spoken:
    """The names, addresses and argument vectors as they stand there now; of calls that have none, nothing."""
    arguments = call.arguments
    names = [call.string(arguments[index]) for index in facts.indexes(Kind.PATH)]
    if facts.name in ADDRESSED:
        at = facts.indexes(Kind.SOCKADDR)[0]
        names.append(call.memory(arguments[at], min(arguments[at + 1], LONGEST_SOCKADDR)))
    if facts.name in ARGV:
        names.append((argv(call, arguments[ARGV[facts.name]]) or "").encode("utf-8", "surrogateescape"))
    return tuple(names)


def slipped(call: Call, before: Spoken, result: int) -> bool:
    """Do they stand there otherwise? After an execve that took place there is nothing to compare."""
    facts = syscalls.table()[syscalls.name(call.number)]
    if facts.name in ARGV and result == 0:
        return False
    return any(now and now != then for now, then in zip(spoken(call, facts), before, strict=True))


def exposed(call: Call, facts: Syscall) -> bool:
    """Has the call names, and its process another thread that could change them?"""
    named = facts.indexes(Kind.PATH) or facts.name in ADDRESSED
    return bool(named) and facts.name not in OVERWRITTEN and _has_threads(call.pid)


def _has_threads(pid: int) -> bool:
    try:
        return len(list(Path(f"/proc/{pid}/task").iterdir())) > 1
    except OSError:
        return False
