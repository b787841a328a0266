"""Who gives a file's old content up: in the clean run, the first call that empties it, removes it or renames it; and
which files are only appended to. Pure.

A run that fails later leaves the file in neither state, wherever the fault strikes: the causes are one. What is
overwritten bit by bit is given up nowhere, and who cuts a file after writing it only takes a rest away.
"""

import os
from collections.abc import Mapping

from firedamp.guards.faults_touch import family
from firedamp.naming import resolve_stack
from firedamp.outcome import EntryKind, Frame, Outcome
from inject.decide.release import CUTS, OPENS, RENAMES, UNLINKS
from inject.observe.census import Hit, Report

WRITES = frozenset({"write", "copy"})  # families


def given_up(report: Report, clean: Outcome, folder: str) -> Mapping[str, tuple[Frame, ...]]:
    """By the name of a file that was there before, relative to the folder."""
    sites: dict[str, str] = {}
    written = set[str]()
    for hit in report.hits:
        name = (hit.path or "").removeprefix(f"{folder}/")
        entry = clean.before.get(name)
        if entry is None or entry.kind is not EntryKind.FILE or hit.result is None or hit.result < 0:
            continue
        if _gives_up(hit) or (hit.syscall in CUTS and name not in written):
            sites.setdefault(name, hit.site)
        elif family(hit.syscall) in WRITES:
            written.add(name)
    return {name: resolve_stack(report.stacks.get(site, ())) for name, site in sites.items()}


def appended(report: Report, clean: Outcome, folder: str) -> frozenset[str]:
    """Files of before that nobody opens for writing but to append: their old content is never at risk."""
    opened: dict[str, list[int]] = {}
    for hit in report.hits:
        if hit.syscall in OPENS and hit.open_flags & os.O_ACCMODE and (hit.result or 0) >= 0:
            opened.setdefault((hit.path or "").removeprefix(f"{folder}/"), []).append(hit.open_flags)
    return frozenset(
        name for name, flags in opened.items() if name in clean.before and all(each & os.O_APPEND for each in flags)
    )


def _gives_up(hit: Hit) -> bool:
    return hit.syscall in UNLINKS | RENAMES or (hit.syscall in OPENS and bool(hit.open_flags & os.O_TRUNC))
