"""Which runs are looked at closely: few, and those where there is something to lose."""

import os

from inject.observe.census import Hit
from inject.sweeps.plan import Fault
from inject.sweeps.scrutiny import at_stake, scrutinised


def hit(syscall: str, site: str, result: int = 0, fd: int | None = None, flags: int = 0, pid: int = 7) -> Hit:
    return Hit(
        syscall=syscall, site=site, nth=1, fd=fd, path=None, open_flags=flags, errnos=(), startup=False, result=result,
        pid=pid,
    )  # fmt: skip


def fault(at: Hit, name: str = "EIO", lasting: bool = False) -> Fault:
    return Fault(hit=at, name=name, lasting=lasting, rules=(f"{at.site} {name} {lasting}",))


STAT, OPEN, READ = hit("stat", "stat"), hit("openat", "open", result=3), hit("read", "read", fd=3)
CLOSE, LATER, OTHER = hit("close", "close", fd=3), hit("read", "later", fd=0), hit("stat", "child", pid=8)


def test_something_is_at_stake_while_a_descriptor_is_open_or_once_a_file_was_made() -> None:
    run = (STAT, OPEN, READ, OTHER, CLOSE, LATER)
    assert {site for site, _ in at_stake(run)} == {"open", "read", "close"}
    creates = hit("openat", "open", result=3, flags=os.O_CREAT)
    assert {site for site, _ in at_stake((STAT, creates, READ, OTHER, CLOSE, LATER))} == {
        *("open", "read"),
        "close",
        "later",
    }


def test_the_first_single_fault_of_a_site_is_looked_at_closely_and_an_interrupted_close() -> None:
    faults = (
        fault(STAT), fault(READ), fault(READ, lasting=True), fault(READ, "EAGAIN"), fault(CLOSE),
        fault(CLOSE, "ENOSPC"), fault(CLOSE, "EINTR"),
    )  # fmt: skip
    chosen = [each.rules[0] for each in scrutinised(faults, (STAT, OPEN, READ, CLOSE)) if each.closely]
    assert chosen == ["read EIO False", "close EIO False", "close EINTR False"]
