"""Which call of a clean run gives the old content of a file up."""

import os

import pytest

from firedamp.outcome import Entry, EntryKind, Exited, Frame, Outcome
from inject.observe.census import Hit, Report
from inject.observe.surrender import appended, given_up

FOLDER = "/room/work"
CLEAN = Outcome(ending=Exited(status=0), before={"state": Entry(kind=EntryKind.FILE, mode=0o644, size=3, digest="old")})


def hit(syscall: str, name: str = "state", *, flags: int = 0, result: int = 0) -> Hit:
    path = f"{FOLDER}/{name}"
    return Hit(
        syscall=syscall,
        site=syscall,
        nth=1,
        fd=None,
        path=path,
        open_flags=flags,
        errnos=(),
        startup=False,
        result=result,
    )


def found(*hits: Hit) -> str | None:
    stacks = {each.site: (Frame(module="/bin/tool", offset=1, function=each.site),) for each in hits}
    stack = given_up(Report(hits=hits, stacks=stacks), CLEAN, FOLDER).get("state")
    return None if stack is None else stack[0].function


@pytest.mark.parametrize(
    ("hits", "who"),
    [
        ((hit("openat", flags=os.O_WRONLY | os.O_TRUNC), hit("unlink")), "openat"),
        ((hit("openat", flags=os.O_WRONLY), hit("ftruncate"), hit("write", result=3)), "ftruncate"),
        ((hit("openat", flags=os.O_RDWR), hit("pwrite64", result=3), hit("ftruncate")), None),
        ((hit("unlink", result=-2), hit("rename")), "rename"),
        ((hit("unlink", "other"), hit("read")), None),
    ],
)
def test_the_first_that_empties_removes_or_renames(hits: tuple[Hit, ...], who: str | None) -> None:
    assert found(*hits) == who


def test_appended_is_what_nobody_opens_otherwise_for_writing() -> None:
    append, read = hit("openat", flags=os.O_WRONLY | os.O_APPEND), hit("openat", flags=os.O_RDONLY)
    assert appended(Report(hits=(append, read)), CLEAN, FOLDER) == {"state"}
    assert appended(Report(hits=(append, hit("openat", flags=os.O_RDWR))), CLEAN, FOLDER) == set()
    assert appended(Report(hits=(read,)), CLEAN, FOLDER) == set()
