"""What a run leaves where no private folder holds it: System V objects, message queues, shared memory.

A later run would find it there, so the runs of a sweep could depend on each other. It cannot be put back; it is said.
"""

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from inject.observe.census import Hit

SYSTEM_V: Final = {  # call -> its table of /proc/sysvipc (proc(5)), whose second column is the id, and its name
    "shmget": ("shm", "shared memory segment"),
    "semget": ("sem", "semaphore set"),
    "msgget": ("msg", "message queue"),
}
SHARED: Final = re.compile(r"/dev/(shm|mqueue)/.+")
OURS: Final = re.compile(r"/dev/shm/firedamp-\d+-.*")


def residue(hits: tuple[Hit, ...]) -> Iterator[str]:
    """Of a clean run that is over: what it made, and what is still there."""
    for hit in hits:
        if hit.syscall in SYSTEM_V and hit.result is not None and hit.result >= 0:
            table, name = SYSTEM_V[hit.syscall]
            if str(hit.result) in _ids(table):
                yield f"System V {name} {hit.result}"
    for path in dict.fromkeys(hit.path for hit in hits if hit.open_flags & os.O_CREAT):
        if path is not None and SHARED.fullmatch(path) and not OURS.fullmatch(path) and Path(path).exists():
            yield path
    queues = sum(hit.syscall == "mq_open" and (hit.result or 0) >= 0 for hit in hits)
    if queues > sum(hit.syscall == "mq_unlink" for hit in hits):
        yield "POSIX message queue"


def _ids(table: str) -> set[str]:
    try:
        lines = Path("/proc/sysvipc", table).read_text().splitlines()
    except OSError:
        return set()  # a kernel without System V IPC has nothing that could be left
    return {line.split()[1] for line in lines[1:]}


def note(hits: tuple[Hit, ...]) -> str | None:
    left = tuple(dict.fromkeys(residue(hits)))
    if not left:
        return None
    return (
        f"the program leaves a {left[0]} behind" + (f" (and {len(left) - 1} more)" if len(left) > 1 else "") + ", "
        "outside of its private folder: a run may depend on the one before it; remove it in --setup, or at the end"
    )
