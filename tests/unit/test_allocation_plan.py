"""Allocations without a process: the environment that they need, and which of them a sweep makes fail."""

from firedamp.outcome import Frame
from inject.decide import allocation
from inject.observe.census import Hit
from inject.policy import parse
from inject.sweeps.allocations import TOO_MANY, plan
from inject.sweeps.plan import Selection


def test_other_policies_leave_the_environment_alone() -> None:
    assert allocation.variables(parse("mmap: true then deny[enomem]"), {}) == {}
    given = {"GLIBC_TUNABLES": "glibc.malloc.check=3:glibc.malloc.mmap_threshold=9"}
    tuned = allocation.variables(parse("malloc: true then deny[enomem]"), given)["GLIBC_TUNABLES"].split(":")
    assert tuned[0] == "glibc.malloc.check=3" and "glibc.malloc.mmap_threshold=1" in tuned
    assert "glibc.malloc.mmap_threshold=9" not in tuned


def test_a_plan_within_bounds_begins_with_what_tells_most() -> None:
    hits = tuple(
        Hit(
            syscall="malloc",
            site=f"{at % 100:08x}",
            nth=at // 100 + 1,
            fd=None,
            path=None,
            open_flags=0,
            errnos=(),
            startup=at % 100 == 0,
        )
        for at in range(1000)
    )
    stacks = {hit.site: (Frame(module="/p", offset=int(hit.site, 16) % 10, own=True),) for hit in hits}
    everything = plan(hits, stacks, Selection())
    assert everything.sites == 99 and len(everything.faults) == 99 * 3 * 2
    assert everything.skips == {"start-up of the dynamic loader": 1}
    assert everything.faults[0].rules == ('malloc: site eq "00000001" then deny[enomem] when 1',)
    assert everything.faults[1].rules == ("malloc: true then deny[enomem] after 1",)
    assert {fault.hit.site[-1] for fault in everything.faults[:20]} >= {str(place) for place in range(1, 10)}
    some = plan(hits, stacks, Selection(), patience=10_000)
    assert some.faults == everything.faults[: len(some.faults)] and some.sites == 99
    assert 0 < len(some.faults) < 200 and some.skips[TOO_MANY] == len(everything.faults) - len(some.faults)
