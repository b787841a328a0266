"""Which allocations a sweep makes fail, and beside which clean run: one in the environment that makes them calls.

A site is a call stack from malloc outwards. As of system calls, its first, second and last allocation stand for all;
each fails once, and each is the first of all those that fail from there on.

A sweep that was not asked makes only those fail that the program asks for with its own hands, once each, and only where
that is cheap: some libraries lose output without a word when they have no memory, which no caller can mend.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from itertools import accumulate
from typing import Final

from firedamp.errors import UsageError
from firedamp.guards.place import bare_name, module_name
from firedamp.outcome import Frame, Killed
from firedamp.run import Bench
from firedamp.symbols import resolve_frame
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
# Unasked: what the other faults cost, or a second or two; of programs that ask for memory more often, nothing.
LEAST_UNASKED: Final = 2_000
MOST_UNASKED: Final = 4_000
UNASKED_S: Final = 10.0
COPIERS: Final = frozenset({"strdup", "strndup", "wcsdup", "asprintf", "vasprintf", "vasprintf_internal"})
UNTRIED: Final = "allocations are not made to fail"
TOO_LONG: Final = "there are more of them than a sweep tries that is not asked to (--malloc)"
WAITING: Final = "allocations that wait for --malloc"
TOO_MANY: Final = "allocations that would take longer than all other faults (--syscall malloc)"


class AllocationCensus:
    """An Interceptor. `script`: the file that an interpreter runs; what it allocates before it opens that is its own
    start-up."""

    def __init__(self, script: str | None = None, most: int = MOST_HITS) -> None:
        self.script = script
        self.most = most
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
        if len(self.hits) >= self.most:
            self.dropped += 1
            return
        allocation = self.allocations.find(call)
        if allocation is None or not allocation.begins:
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


def observe_allocations(bench: Bench, clean: Clean, script: str | None = None, most: int = MOST_HITS) -> Report:
    """Two clean runs in the environment that makes each allocation a call; with what `clean` shows of other calls they
    are kept there. UsageError as `observe`."""
    before = bench.variables
    bench.variables = tuned(bench.environment())
    try:
        tuned_clean = observe(bench, lambda: AllocationCensus(script, most))
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
    bench: Bench, clean: Clean, selection: Selection, *, program: str | None, script: str | None, others: int
) -> tuple[Plan, str | None]:
    """What to try besides `others`, the faults of system calls; and why nothing, if a person should know.
    Sets clean.allocating."""
    if selection.errnos and ERRNO not in selection.errnos:
        return Plan(), None
    if selection.allocations or ALLOCATION in selection.syscalls:
        return _asked(bench, clean, selection, script, others)
    if selection.allocations is False or selection.syscalls or script is not None or program is None:
        return Plan(), None
    return _unasked(bench, clean, program, others)


def _asked(
    bench: Bench, clean: Clean, selection: Selection, script: str | None, others: int
) -> tuple[Plan, str | None]:
    try:
        report = observe_allocations(bench, clean, script)
    except UsageError:
        limit_s = bench.target.limits.wall_s
        return Plan(), f"{UNTRIED}: with each one on its own the program takes longer than {limit_s:g} s (--timeout)"
    if (change := _change(clean, beside(bench, clean))) is not None:
        return Plan(), f"{UNTRIED}: with each one on its own {change}"
    if not report.hits:
        return Plan(), f"{UNTRIED}: the program has none by glibc's shared library"
    patience = None if ALLOCATION in selection.syscalls else max(LEAST_PATIENCE, others * PATIENCE)
    return plan(report.hits, report.stacks, selection, patience), None


def _unasked(bench: Bench, clean: Clean, program: str, others: int) -> tuple[Plan, str | None]:
    target = bench.target
    bench.target = replace(target, limits=replace(target.limits, wall_s=min(target.limits.wall_s, UNASKED_S)))
    try:
        report = observe_allocations(bench, clean, most=MOST_UNASKED)
    except UsageError:
        return Plan(), f"{UNTRIED}: {TOO_LONG}"
    finally:
        bench.target = target
    if report.dropped:
        return Plan(), f"{UNTRIED}: {TOO_LONG}"
    if (change := _change(clean, beside(bench, clean))) is not None:
        return Plan(), f"{UNTRIED}: with each one on its own {change}"
    whole = plan(report.hits, report.stacks, Selection())
    by_hand = tuple(
        fault for fault in whole.faults if not fault.lasting and is_by_hand(report.stacks[fault.hit.site], program)
    )
    moments = {(hit.site, hit.nth): at for at, hit in enumerate(report.hits)}
    costs = accumulate(RUN + moments[fault.hit.site, fault.hit.nth] for fault in by_hand)
    most = max(LEAST_UNASKED, others * PATIENCE)
    made = tuple(fault for fault, cost in zip(by_hand, costs, strict=True) if cost <= most)
    waiting = len(whole.faults) - len(made)
    sites = len({fault.hit.site for fault in made})
    return Plan(faults=made, sites=sites, skips=Counter({WAITING: waiting} if waiting else {})), None


def is_by_hand(stack: tuple[Frame, ...], program: str) -> bool:
    """Does the program (none that it starts) call the allocator itself, or what copies a string into a new block?"""
    for frame in stack[1:]:
        if frame.own:
            return frame.module == program or ".so" in module_name(frame)
        if bare_name(resolve_frame(frame)).lstrip("_") not in COPIERS:
            return False
    return False


def _change(clean: Clean, apart: Clean) -> str | None:
    """What the environment that makes each allocation a call does to the program by itself."""
    if isinstance(apart.outcome.ending, Killed) and clean.outcome.ending != apart.outcome.ending:
        number = int(apart.outcome.ending.signal)
        return f"the program is killed by signal {number}: it may use memory that it freed or never had"
    unlike = differences(clean.outcome, apart.outcome) - clean.unstable - apart.unstable
    if unlike or clean.outcome.ending != apart.outcome.ending:
        return f"{', '.join(sorted(unlike)) or 'the ending'} is another"
    return None


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
