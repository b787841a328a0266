"""Who gives a file's old content up: in the clean run, the first call that empties it, removes it or renames it; and
which files are only appended to. Pure.

A run that fails later leaves the file in neither state, wherever the fault strikes: the causes are one. What is
overwritten bit by bit is given up nowhere.
"""

import os
from collections.abc import Mapping

from firedamp.outcome import EntryKind, Frame, Outcome
from firedamp.run import resolve_stack
from inject.decide.release import OPENS, RENAMES, UNLINKS
from inject.observe.census import Hit, Report


def given_up(report: Report, clean: Outcome, folder: str) -> Mapping[str, tuple[Frame, ...]]:
    """By the name of a file that was there before, relative to the folder."""
    sites: dict[str, str] = {}
    for hit in report.hits:
        name = (hit.path or "").removeprefix(f"{folder}/")
        entry = clean.before.get(name)
        if entry is not None and entry.kind is EntryKind.FILE and _gives_up(hit):
            sites.setdefault(name, hit.site)
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
    if hit.result is None or hit.result < 0:
        return False
    return hit.syscall in UNLINKS | RENAMES or (hit.syscall in OPENS and bool(hit.open_flags & os.O_TRUNC))
