"""One run under a policy, ready to be judged beside the clean run. Plans nothing and keeps nothing."""

import os
import re
from collections.abc import Iterator
from dataclasses import replace
from functools import lru_cache
from typing import Final

from firedamp import guards
from firedamp.finding import Standing
from firedamp.guards import faults_privilege
from firedamp.guards.faults_effect import decisive
from firedamp.guards.faults_message import misnamed
from firedamp.naming import resolve_stack
from firedamp.outcome import Aftermath, Held, Outcome, Stall, Strike, TimedOut
from firedamp.run import Bench
from firedamp.target import Limits
from firedamp.unwind.image import Image
from firedamp.unwind.reader import Malformed
from inject.decide import allocation
from inject.decide.decider import Decider, DecisionReport
from inject.observe.aftermath import aftermath
from inject.observe.clean import Clean, look_again, with_scene
from inject.observe.ledger import MOST_WATCHED, Ledger, LedgerReport
from inject.policy import Policy, parse

SLOWER: Final = 3.0  # a run under a fault may retry and wait; beyond that many clean runs it hangs
LEAST_S: Final = 2.0  # but a busy machine alone can hold a short run up that long
MOST_RESOLVED: Final = 20  # strikes of one run, each at a place of its own
JUMPS: Final = re.compile(rb"longjmp(_chk)?\0|\0(__cxa_throw|_Unwind_RaiseException)\0")
NO_RANDOMNESS: Final = parse(
    "".join(
        f"{rule}\n"
        for rule in (
            "getrandom: true then deny[eio]",
            'openat: filename match "/dev/*random" then deny[eio]',
            'open: filename match "/dev/*random" then deny[eio]',
        )
    )
)
NO_PAUSES: Final = parse("nanosleep: true then retval[0]\nclock_nanosleep: true then retval[0]\n")


def faulted(bench: Bench, clean: Clean, policy: Policy, *, closely: bool = True) -> tuple[Outcome, DecisionReport]:
    """The outcome has its baseline and its strikes; a difference that another clean run shows too is left out.

    `closely`: and what came of descriptors and files, unless that would take a stop for too many calls.
    """
    target, variables = bench.target, bench.variables
    bench.variables = allocation.variables(policy, bench.environment())
    bench.target = replace(target, limits=fault_limits(target.limits, clean.outcome.wall_s))
    try:
        if closely and is_watchable(clean):
            raw, report = _watched(bench, clean, policy)
        else:
            raw, report = _decided(bench, policy)
        if report.strikes and isinstance(raw.ending, TimedOut) and raw.ending.stall is Stall.WAITING:
            raw, report = _hurried(bench, policy)
        outcome = beside(clean, with_scene(bench, raw), report)
        if outcome.aftermath is not None and misnamed(outcome):
            raw, report = _watched(bench, clean, policy, every=True)
            outcome = beside(clean, with_scene(bench, raw), report)
        bench.target = target
        found = any(each.standing is Standing.FINDING for each in guards.judge(outcome))
        if found and look_again(bench, clean):
            outcome = replace(outcome, unstable=frozenset(clean.unstable))
        if found and faults_privilege.random(outcome):
            outcome = replace(outcome, random_elsewhere=_needs_randomness(bench, clean, policy))
    finally:
        bench.target, bench.variables = target, variables
    return outcome, report


def is_watchable(clean: Clean) -> bool:
    return len(clean.report.hits) <= MOST_WATCHED


def _decided(bench: Bench, policy: Policy) -> tuple[Outcome, DecisionReport]:
    outcome, report = bench.run_command(interceptor=_decider(bench, policy), snapshot=True)
    assert isinstance(report, DecisionReport)
    return outcome, report


def _watched(bench: Bench, clean: Clean, policy: Policy, *, every: bool = False) -> tuple[Outcome, DecisionReport]:
    """As _decided, and each call on a descriptor is seen; `every`: and what each call at all returns."""
    outcome, report = bench.run_command(interceptor=Ledger(_decider(bench, policy), every=every), snapshot=True)
    assert isinstance(report, LedgerReport)
    return with_aftermath(bench, clean, outcome, report)


def with_aftermath(
    bench: Bench, clean: Clean, outcome: Outcome, report: LedgerReport
) -> tuple[Outcome, DecisionReport]:
    """While the run's files are as it left them."""
    if not report.decisions.strikes:
        return outcome, report.decisions
    after = aftermath(clean.report, report.account)
    left = tuple(each for each in after.created if _is_left(each.path, bench, clean))
    return replace(outcome, aftermath=replace(after, created=left)), report.decisions


def _is_left(path: str, bench: Bench, clean: Clean) -> bool:
    """Is it still there, and no output of the clean run's?"""
    return os.path.lexists(path) and path.removeprefix(f"{bench.room.path}/") not in clean.outcome.after


def _decider(bench: Bench, policy: Policy) -> Decider:
    return Decider(policy, folder=str(bench.room.path))


def _needs_randomness(bench: Bench, clean: Clean, policy: Policy) -> bool:
    """Once more without any source of it: does who had another one now fail?"""
    outcome, _ = _decided(bench, replace(policy, items=(*policy.items, *NO_RANDOMNESS.items)))
    return outcome.ending != clean.outcome.ending


def _hurried(bench: Bench, policy: Policy) -> tuple[Outcome, DecisionReport]:
    """Once more without its pauses: who backs off longer and longer comes to his end, who tries for ever does not."""
    sleepless = replace(policy, items=(*NO_PAUSES.items, *policy.items))
    outcome, report = _decided(bench, sleepless)
    first = len(NO_PAUSES.items)
    strikes = (replace(strike, rule=strike.rule - first) for strike in report.strikes if strike.rule >= first)
    return outcome, replace(report, strikes=tuple(strikes), fired=report.fired[first:], matched=report.matched[first:])


def beside(clean: Clean, outcome: Outcome, report: DecisionReport) -> Outcome:
    return replace(
        outcome,
        aftermath=named(outcome.aftermath),
        strikes=tuple(_resolved(report.strikes)),
        baseline=clean.outcome,
        unstable=frozenset(clean.unstable),
        refusals=clean.outcome.refusals,
    )


def _resolved(strikes: tuple[Strike, ...]) -> Iterator[Strike]:
    """One of them is what a finding is about; a program that retries for ever makes thousands."""
    seen = set[tuple[str, str | None]]()
    named_after = decisive(strikes) if strikes else None
    for strike in strikes:
        place = strike.site, strike.path
        if strike is not named_after and (place in seen or len(seen) == MOST_RESOLVED):
            yield strike
        else:
            seen.add(place)
            yield replace(strike, stack=resolve_stack(strike.stack))


def named(after: Aftermath | None) -> Aftermath | None:
    """With functions, files and lines in its stacks."""
    if after is None:
        return None
    return replace(
        after,
        held=tuple(_named(each) for each in after.held),
        created=tuple(replace(created, stack=resolve_stack(created.stack)) for created in after.created),
        misuses=tuple(replace(misuse, stack=resolve_stack(misuse.stack)) for misuse in after.misuses),
        exit_stack=resolve_stack(after.exit_stack) if after.held else after.exit_stack,
    )


def _named(held: Held) -> Held:
    opened = resolve_stack(held.opened)
    jumps = any(may_jump(frame.module) for frame in opened if frame.own)
    meanwhile = tuple(resolve_stack(stack) for stack in held.meanwhile)
    return replace(held, opened=opened, closed=resolve_stack(held.closed), meanwhile=meanwhile, jumps=jumps)


@lru_cache(maxsize=64)
def may_jump(module: str) -> bool:
    """Does the file import a function that leaves others without returning from them?"""
    try:
        _, names = Image.of_file(module).section(b".dynstr") or (0, b"")
    except (OSError, Malformed):
        return False
    return JUMPS.search(names) is not None


def fault_limits(limits: Limits, clean_s: float) -> Limits:
    """Hangs are cheap: three times the clean run is enough to tell, at least two seconds, never above the target's."""
    wall_s = min(limits.wall_s, max(LEAST_S, SLOWER * clean_s))
    return replace(limits, wall_s=wall_s, cpu_s=min(limits.cpu_s, wall_s))
