"""Which allocations a sweep makes fail, and beside which clean run: one in the environment that makes them calls.

A site is a call stack from malloc outwards. As of system calls, its first, second and last allocation stand for all;
each fails once, and each is the first of all those that fail from there on.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from itertools import accumulate
from typing import Final

from firedamp.errors import UsageError
from firedamp.outcome import Frame, Killed
from firedamp.run import Bench
from firedamp.trace.protocol import PROCEED, Action, Call
from inject.decide.allocation import Allocations, tuned
from inject.decide.attributes import View
from inject.linux import syscalls
from inject.observe.census import Hit, Report, in_loader
from inject.observe.clean import Clean, differences, observe
from inject.policy.names import ALLOCATING, ALLOCATION
from inject.sweeps.plan import STARTUP, Fault, Plan, Selection, representatives

ERRNO: Final = "ENOMEM"  # malloc(3) knows no other
MOST_HITS: Final = 200_000  # of one run, as in census.py
LARGEST_WINDOW: Final = 65_535  # of `when`
# Measured: a run under a fault takes as long as RUN allocations take to be looked at. A sweep that was not asked for
# allocations alone spends on them what the other faults cost, or some ten seconds.
RUN: Final = 50
PATIENCE: Final = RUN
LEAST_PATIENCE: Final = 20_000
UNTRIED: Final = "allocations are not made to fail"
TOO_MANY: Final = "allocations that would take longer than all other faults (--syscall malloc)"


class AllocationCensus:
    """An Interceptor. `script`: the file that an interpreter runs; what it allocates before it opens that is its own
    start-up."""

    def __init__(self, script: str | None = None) -> None:
        self.script = script
        self.allocations = Allocations()
        self.hits: list[Hit] = []
        self.sites: dict[tuple[Frame, ...], str] = {}
        self.visits: Counter[str] = Counter()
        self.dropped = 0

    def numbers(self) -> frozenset[int]:
        names = ALLOCATING if self.script is None else (*ALLOCATING, *syscalls.families()["open"])
        return frozenset(syscalls.get(name).number for name in names)

    def enter(self, call: Call) -> Action:
        if call.name in ALLOCATING:
            self._count(call)
        elif View(call).path() == self.script:
            self.script = None
        return PROCEED

    def leave(self, call: Call, result: int) -> None:
        """Nothing is watched."""

    def report(self) -> Report:
        stacks = {site: stack for stack, site in self.sites.items()}
        return Report(hits=tuple(self.hits), stacks=stacks, dropped=self.dropped)

    def _count(self, call: Call) -> None:
        allocation = self.allocations.find(call)
        if allocation is None or not allocation.begins:
            return
        if len(self.hits) >= MOST_HITS:
            self.dropped += 1
            return
        site = self.sites.get(allocation.stack)
        if site is None:
            site = self.sites[allocation.stack] = allocation.site
        self.visits[site] += 1
        self.hits.append(
            Hit(
                syscall=ALLOCATION,
                site=site,
                nth=self.visits[site],
                fd=None,
                path=None,
                open_flags=0,
                errnos=(),
                startup=in_loader(allocation.stack) or self.script is not None,
            )
        )


def observe_allocations(bench: Bench, clean: Clean, script: str | None = None) -> Report:
    """Two clean runs in the environment that makes each allocation a call; with what `clean` shows of other calls they
    are kept there. UsageError as `observe`."""
    before = bench.variables
    bench.variables = tuned(bench.environment())
    try:
        tuned_clean = observe(bench, lambda: AllocationCensus(script))
    finally:
        bench.variables = before
    report = tuned_clean.report
    known = replace(clean.report, stacks={**clean.report.stacks, **report.stacks})
    clean.allocating = replace(tuned_clean, report=known)
    return report


def beside(bench: Bench, clean: Clean) -> Clean:
    """The clean run that a fault in an allocation is judged by."""
    if clean.allocating is None:
        observe_allocations(bench, clean)
    return clean.allocating or clean


def allocations(
    bench: Bench, clean: Clean, selection: Selection, *, script: str | None, others: int
) -> tuple[Plan, str | None]:
    """What to try besides `others`, the faults of system calls; and why nothing, if a person should know.
    Sets clean.allocating."""
    asked = selection.allocations or ALLOCATION in selection.syscalls
    if not asked or (selection.errnos and ERRNO not in selection.errnos):
        return Plan(), None
    try:
        report = observe_allocations(bench, clean, script)
    except UsageError:
        limit_s = bench.target.limits.wall_s
        return Plan(), f"{UNTRIED}: with each one on its own the program takes longer than {limit_s:g} s (--timeout)"
    apart = beside(bench, clean)
    if isinstance(apart.outcome.ending, Killed) and clean.outcome.ending != apart.outcome.ending:
        died = f"is killed by signal {int(apart.outcome.ending.signal)}: it may use memory that it freed or never had"
        return Plan(), f"{UNTRIED}: with each one on its own the program {died}"
    unlike = differences(clean.outcome, apart.outcome) - clean.unstable - apart.unstable
    if unlike or clean.outcome.ending != apart.outcome.ending:
        return Plan(), f"{UNTRIED}: with each one on its own {', '.join(sorted(unlike)) or 'the ending'} is another"
    if not report.hits:
        return Plan(), f"{UNTRIED}: the program has none by glibc's shared library"
    patience = None if ALLOCATION in selection.syscalls else max(LEAST_PATIENCE, others * PATIENCE)
    return plan(report.hits, report.stacks, selection, patience), None


def plan(
    hits: tuple[Hit, ...], stacks: dict[str, tuple[Frame, ...]], selection: Selection, patience: int | None = None
) -> Plan:
    """The most telling first. `patience`: how many allocations all runs together may come to before their faults
    strike; None: any number."""
    by_site: dict[str, list[int]] = {}
    for at, hit in enumerate(hits):
        if selection.startup or not hit.startup:
            by_site.setdefault(hit.site, []).append(at)
    early = len({hit.site for hit in hits}) - len(by_site)
    skips = Counter({STARTUP: early} if early else {})
    moments = _telling_first(by_site, stacks)
    costs = accumulate(2 * (RUN + at) for at in moments)
    tried = [at for at, cost in zip(moments, costs, strict=True) if patience is None or cost <= patience]
    if len(tried) < len(moments):
        skips[TOO_MANY] = 2 * (len(moments) - len(tried))
    return Plan(faults=tuple(fault for at in tried for fault in _of(at, hits[at])), sites=len(by_site), skips=skips)


def _telling_first(by_site: dict[str, list[int]], stacks: dict[str, tuple[Frame, ...]]) -> list[int]:
    """Each place of the program's own that asks for memory before any other way to it, and its first time before a
    second one."""
    ways: Counter[Frame | None] = Counter()
    ranked: list[tuple[int, int, int]] = []
    for site, ats in by_site.items():
        place = next((frame for frame in stacks[site] if frame.own), None)
        ranked.extend((nth, ways[place], at) for nth, at in enumerate(representatives(ats)))
        ways[place] += 1
    return [at for _, _, at in sorted(ranked)]


def _of(at: int, hit: Hit) -> Iterator[Fault]:
    """Once, and from there on; `at` allocations came before, wherever."""
    once = f'{ALLOCATION}: site eq "{hit.site}" then deny[enomem] {_window(hit.nth)}'
    yield Fault(hit=hit, name=ERRNO, lasting=False, rules=(once,))
    after = f"after {at}" if at else "when 1+"
    yield Fault(hit=hit, name=ERRNO, lasting=True, rules=(f"{ALLOCATION}: true then deny[enomem] {after}",))


def _window(nth: int) -> str:
    return f"when {nth}" if nth <= LARGEST_WINDOW else f"after {nth - 1} once"
