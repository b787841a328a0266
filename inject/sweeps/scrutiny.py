"""Which runs of a sweep are looked at closely (ledger.py), since each of them is slower for it. Pure.

They are the first single fault of each site at which its process has something to lose.
"""

import os
from collections.abc import Iterable, Iterator
from dataclasses import replace

from inject.observe.census import Hit
from inject.observe.ledger import MAKERS, PAIRS
from inject.sweeps.plan import Fault

FIRST_OWN = 3  # after the standard streams


def scrutinised(faults: Iterable[Fault], hits: tuple[Hit, ...]) -> Iterator[Fault]:
    """The same faults. close(2) interrupted counts apart: it is what programs try again."""
    stakes = at_stake(hits)
    seen: set[tuple[str, bool]] = set()
    for fault in faults:
        key = (fault.hit.site, fault.hit.syscall == "close" and fault.name == "EINTR")
        closely = not fault.lasting and key not in seen and (fault.hit.site, fault.hit.nth) in stakes
        if closely:
            seen.add(key)
        yield replace(fault, closely=closely)


def at_stake(hits: tuple[Hit, ...]) -> frozenset[tuple[str, int]]:
    """Site and turn of each call that makes or closes a descriptor, or whose process has one open or made a file."""
    opened: dict[int, set[int]] = {}
    made_files: set[int] = set()
    found = []
    for hit in hits:
        own = opened.setdefault(hit.pid, set())
        handles = hit.syscall in MAKERS or hit.syscall in PAIRS or hit.syscall == "close"
        if handles or own or hit.pid in made_files:
            found.append((hit.site, hit.nth))
        if hit.syscall == "close":
            own.discard(-1 if hit.fd is None else hit.fd)
        elif hit.result is not None and hit.syscall in MAKERS and hit.result >= FIRST_OWN:
            own.add(hit.result)
            if hit.open_flags & os.O_CREAT:
                made_files.add(hit.pid)
    return frozenset(found)
