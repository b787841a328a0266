"""The account of one run under faults beside the census of the clean run: what was left open, and misused. Pure.

A descriptor is known again by the call that made it, its site and its turn there. What the clean run leaves open, too,
or closes in a way that the census does not show (exec, dup2), is nobody's leak.
"""

from collections.abc import Iterator
from errno import EBADF
from typing import Final

from firedamp.outcome import Aftermath, Frame, Held, Misuse
from inject.observe.census import Hit, Report
from inject.observe.ledger import PAIRS, Account, Opening

MOST_PLACES: Final = 50  # that are resolved for one descriptor


def aftermath(clean: Report, account: Account) -> Aftermath:
    sound = set(_misused_by_clean_run(clean.hits))
    return Aftermath(
        held=tuple(_held(clean, account.held)),
        misuses=tuple(misuse for misuse in account.misuses if (misuse.syscall, _site(misuse)) not in sound),
        exit_stack=account.exit_stack,
        created=account.created,
        errnos=account.errnos,
    )


def _held(clean: Report, openings: tuple[Opening, ...]) -> Iterator[Held]:
    if not openings:
        return
    made = {(hit.site, hit.nth): at for at, hit in enumerate(clean.hits)}
    for each in openings:
        at = made.get((each.site, each.nth))
        closing = _closing(clean.hits, at, each) if at is not None and each.before else None
        if at is not None and closing is not None:
            yield Held(
                fd=each.fd,
                path=each.path,
                opened=each.stack,
                closed=clean.stacks.get(clean.hits[closing].site, ()),
                meanwhile=_meanwhile(clean, at, closing),
                again=each.again,
            )


def _meanwhile(clean: Report, opening: int, closing: int) -> tuple[tuple[Frame, ...], ...]:
    """Where the process was while the descriptor was open."""
    pid = clean.hits[opening].pid
    sites = dict.fromkeys(hit.site for hit in clean.hits[opening + 1 : closing] if hit.pid == pid)
    return tuple(clean.stacks[site] for site in sites if site in clean.stacks)[:MOST_PLACES]


def _closing(hits: tuple[Hit, ...], at: int, opening: Opening) -> int | None:
    """The call of the clean run that closes the descriptor before its place makes another one."""
    made = hits[at]
    if made.syscall not in PAIRS and made.result != opening.fd:
        return None
    for later, hit in enumerate(hits[at + 1 :], at + 1):
        if hit.pid == made.pid and hit.site == made.site:
            return None
        if hit.pid == made.pid and hit.syscall == "close" and hit.fd == opening.fd:
            return later
    return None


def _misused_by_clean_run(hits: tuple[Hit, ...]) -> Iterator[tuple[str, str]]:
    for hit in hits:
        if (hit.fd is not None and hit.fd < 0) or hit.result == -EBADF:
            yield hit.syscall, hit.site


def _site(misuse: Misuse) -> str:
    from firedamp.unwind import site_digest

    return site_digest(misuse.syscall, misuse.stack)
