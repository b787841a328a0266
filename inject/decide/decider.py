"""A policy at work: for each stopped call, which rule decides and what becomes of the call.

Rules are tried in their order; the first that matches and is inside its window decides, and one that is outside lets
the next ones have the call. Under inject what no rule decides is permitted; under enforce denied (EPERM) and logged.

Counting. `when`, `after` and `probability` go by the calls that match the rule's filter, over the whole run, every
process and thread together, whether an earlier rule decided them or not: `when 3` is the third such call. A strace
expression counts as strace does: for each thread and each system call by itself. `limit` and `once` go by the calls
that the rule decided; a permit that has used up its limit denies. A rule on malloc counts allocations, and what it
decides holds for each system call by which malloc tries to serve the same one.

Of a group (xor) one rule alone decides in each process: where another one of it decided there before, the call is
denied.
"""

import os
from collections import Counter
from dataclasses import dataclass, replace
from errno import EACCES, ENOMEM, EPERM
from typing import Final

from firedamp.injector import Mode
from firedamp.outcome import Strike
from firedamp.trace.protocol import PROCEED, Action, Call
from inject.decide import audit
from inject.decide.allocation import Allocation, Allocations, concerns, is_anonymous
from inject.decide.armed import Armed, arm, denied_errno
from inject.decide.ask import PATIENCE_S, Questions
from inject.decide.attributes import View
from inject.decide.effect import SECOND, Effect, effect_of, failure
from inject.decide.lineage import Lineages, lineages
from inject.decide.permission import may
from inject.decide.release import of_rules
from inject.decide.slip import Spoken, exposed, slipped, spoken
from inject.linux import syscalls
from inject.policy.check import check, targets
from inject.policy.model import (
    ATTRIBUTES,
    Ask,
    Permit,
    Policy,
    Rule,
    StraceRule,
)

MOST_STRIKES: Final = 200  # kept of one run, with their stacks; all are counted. A program that retries makes millions
MOST_LOG_LINES: Final = 10_000
UNENFORCED: Final = frozenset({"exit", "exit_group", "rt_sigreturn", "restart_syscall"})  # unless a rule names them
DEFAULT_RULE: Final = -1  # of a Strike: no rule, the mode itself denied
DENIED: Final = Effect(action=Action(suppress=-EPERM), kind="suppress", errno=EPERM)
REFUSED: Final = Effect(action=Action(suppress=-EACCES), kind="suppress", errno=EACCES)  # to that user
SLIPPED: Final = "slipped"
PASSED: Final = Effect(action=Action(watch=True), kind=SLIPPED)  # watch: it did not take, nothing was denied
STACKED: Final = ("site", "caller", "path")  # not shown to a person who is asked


@dataclass(frozen=True, slots=True, kw_only=True)
class DecisionReport:
    """What a policy did in one run. `fired[i]` counts the calls that rule i decided; 0 is a rule that never fired."""

    strikes: tuple[Strike, ...] = ()
    fired: tuple[int, ...] = ()
    matched: tuple[int, ...] = ()  # calls that the filter matched, inside the window or not; allocations up to its end
    log: tuple[str, ...] = ()
    later: int = 0  # calls that some rule names and that came after the first strike
    denied: int = 0  # calls that no rule permitted, under enforce
    slipped: int = 0  # calls whose names another thread changed while they were being checked


@dataclass(frozen=True, slots=True, kw_only=True)
class Pending:
    """A call under way whose end is awaited. `strike`: its place among those kept."""

    strike: int | None
    effect: Effect
    entered: bool = True  # what was due in its memory at the entry took place
    spoken: Spoken = ()  # names that it was permitted for, where another thread could change them


class Decider:
    """A firedamp.trace.protocol.Interceptor. Made here, pickled to the tracer's worker, used there for one run.

    folder: $CWD; None is the working folder of the first call that stops.
    """

    def __init__(self, policy: Policy, mode: Mode = "inject", *, folder: str | None = None) -> None:
        self.policy = check(policy)
        self.mode = mode
        self.macros = {name: os.environ[name] for name in ("HOME", "USER") if name in os.environ}
        if folder is not None:
            self.macros["CWD"] = folder
        self.armed: list[Armed] = []
        self.by_number: dict[int, list[Armed]] = {}
        for index, (rule, scope) in enumerate(policy.scoped()):
            armed = arm(index, rule, scope)
            self.armed.append(armed)
            for name in targets(rule):
                self.by_number.setdefault(syscalls.get(name).number, []).append(armed)
        self.allocations = Allocations() if concerns(policy) else None
        freeing = (armed.rule for armed in self.armed if isinstance(armed.rule, Rule) and armed.rule.until_freed)
        self.releases = of_rules(number for rule in freeing if (number := denied_errno(rule)) is not None)
        self.strikes: list[Strike] = []
        self.later = self.denied = self.slipped = self.unlogged = 0
        self.log: list[str] = []
        self.visits: Counter[str] = Counter()
        self.lineages = lineages(policy)
        self.mode_of_exec: str | None = None  # inherit or detach, of the call that was just permitted
        self.choices: dict[tuple[int, str], int] = {}  # process and group -> the rule that decided first
        self.questions = Questions()
        self.pending: dict[int, Pending] = {}  # by the thread that is in the call

    def numbers(self) -> frozenset[int]:
        """The calls that some rule names; under enforce all of them."""
        followed = frozenset() if self.lineages is None else self.lineages.numbers()
        if self.mode == "inject":
            return frozenset(self.by_number) | followed | (self.releases.numbers() if self.releases else frozenset())
        unnamed = {call.number for call in syscalls.table().values() if call.name not in UNENFORCED}
        return frozenset(self.by_number) | unnamed

    def enter(self, call: Call) -> Action:
        return self.decide(View(call))

    def decide(self, view: View) -> Action:
        """`enter`, for several deciders that look at one call."""
        if "CWD" not in self.macros:
            self.macros["CWD"] = view.call.folder()
        action = self._decide(view) if self.lineages is None else self._follow(self.lineages, view)
        if self.releases is None or action.suppress is not None:
            return action
        return replace(action, watch=True) if self.releases.enter(view) else action

    def moved(self, pid: int, copy_pid: int) -> None:
        """firedamp.trace.protocol.Movable, for policies that `inject.sweeps.snapshots.shares` lets pass."""
        self.strikes = [replace(strike, pid=copy_pid) for strike in self.strikes]
        if pid in self.pending:
            self.pending[copy_pid] = self.pending.pop(pid)

    def _follow(self, lineages: Lineages, view: View) -> Action:
        """As _decide, for the rules that are for this process; forks and new programs are noted."""
        call = view.call
        lineage = lineages.of(call)
        action, mode = PROCEED, None
        if not lineages.unhindered(lineage):
            action = self._decide(view, lineage)
            mode, self.mode_of_exec = self.mode_of_exec, None
        if call.number in lineages.numbers() and action.suppress is None:
            lineages.begin(call, mode)
            return replace(action, watch=True)
        return action

    def _decide(self, view: View, lineage: tuple[str, ...] = ()) -> Action:
        call = view.call
        if self.allocations is not None and self._is_spent(self.allocations, call):
            self.later += is_anonymous(call)
            return PROCEED
        allocation = self.allocations.find(call) if self.allocations is not None else None
        if allocation is not None and allocation.denied:
            return failure(view, ENOMEM).action
        decided: Armed | None = None
        sited: set[str] = set()
        concerned = False
        for armed in self.by_number.get(call.number, ()):
            seen = allocation if armed.of_allocations else view
            if seen is None or (isinstance(seen, Allocation) and not seen.begins):
                continue
            concerned = True
            if decided is not None and not armed.counts_calls:
                continue
            if not self._matches(armed, seen, lineage):
                continue
            if armed.by_site and seen.site not in sited:
                self.visits[seen.site] += 1
                sited.add(seen.site)
            count = armed.count(call)
            if decided is None and armed.due(count) and not self._is_over(armed, seen):
                decided = armed
        self.later += concerned and bool(self.strikes)
        if decided is None:
            return PROCEED if self.mode == "inject" else self._denied_by_default(view)
        if decided.of_allocations and allocation is not None:
            return self._fail(decided, allocation, sited)
        return self._carry_out(decided, view, sited)

    def leave(self, call: Call, result: int) -> None:
        if self.lineages is not None and call.number in self.lineages.numbers():
            self.lineages.end(call, syscalls.name(call.number), result)
        if self.releases is not None:
            self.releases.leave(call, result)
        pending = self.pending.pop(call.tid, None)
        if pending is None:
            return
        effect, took = pending.effect, pending.entered
        if effect.longest is not None:
            took = 0 < result <= effect.longest  # 0 is the end of a file, which nobody cut
        if effect.tampering is not None:
            took &= effect.tampering.leave(call, syscalls.name(call.number), result)
        if pending.strike is not None:
            self.strikes[pending.strike] = replace(self.strikes[pending.strike], took=took)
        if pending.spoken and slipped(call, pending.spoken, result):
            self.slipped += 1
            self._log(View(call), SLIPPED, None, ", changed by another thread after it was checked")
            self._strike(DEFAULT_RULE, PASSED, View(call), set())

    def report(self) -> DecisionReport:
        if self.unlogged:
            self.log.append(f"{self.unlogged:,} more lines are left out: a run's first {MOST_LOG_LINES:,} are kept")
        return DecisionReport(
            strikes=tuple(self.strikes),
            fired=tuple(armed.fired for armed in self.armed),
            matched=tuple(armed.matched for armed in self.armed),
            log=tuple(self.log),
            later=self.later,
            denied=self.denied,
            slipped=self.slipped,
        )

    def _is_over(self, armed: Armed, view: View) -> bool:
        """Was what the rule says is short given back since?"""
        rule = armed.rule
        if self.releases is None or isinstance(rule, StraceRule) or not rule.until_freed:
            return False
        return self.releases.is_over(denied_errno(rule), view)

    def _matches(self, armed: Armed, view: View, lineage: tuple[str, ...]) -> bool:
        if self.lineages is not None and not self.lineages.holds(armed.scope, lineage):
            return False
        return armed.matches(view, self.macros)

    def _fail(self, armed: Armed, allocation: Allocation, sited: set[str]) -> Action:
        armed.fired += 1
        if isinstance(armed.rule, Rule) and armed.rule.log:
            self._log(allocation, "deny", armed)
        effect = failure(View(allocation.call), ENOMEM)
        self._strike(armed.index, effect, allocation, sited)
        allocation.deny()
        return effect.action

    def _is_spent(self, allocations: Allocations, call: Call) -> bool:
        """Looking at an allocation takes a walk up the stack: that is spared where no rule can strike any more."""
        return not allocations.is_denied(call.tid) and all(
            armed.of_allocations and armed.is_over for armed in self.armed
        )

    def _effect(self, armed: Armed, view: View) -> Effect | None:
        """None: there is nothing to shorten, or no data to corrupt."""
        rule = armed.rule
        if armed.spent:
            return DENIED
        if isinstance(rule, StraceRule):
            return effect_of(rule, view, armed.fired + 1)
        if rule.group is not None:
            chosen = self.choices.setdefault((view.call.pid, rule.group), armed.index)
            if chosen != armed.index:
                return DENIED
        if isinstance(rule.verdict, Ask):
            if not self._asked(armed, rule.verdict, view):
                return DENIED
            rule = replace(rule, verdict=Permit())
        if isinstance(rule.verdict, Permit):
            self.mode_of_exec = rule.verdict.mode
        if armed.person is not None and not may(armed.person, view):
            return REFUSED
        return effect_of(rule, view, armed.fired + 1)

    def _asked(self, armed: Armed, verdict: Ask, view: View) -> bool:
        call = view.call
        facts = (
            f"{call.program()}: {view.name}",
            *(f"{name}: {value}" for name in ATTRIBUTES if name not in STACKED for value in view.values(name, None)),
            f"by rule {armed.index + 1} of {self.policy.source}",
        )
        patience_s = PATIENCE_S if verdict.patience_ns is None else verdict.patience_ns / SECOND
        answer = self.questions.ask(facts, f"process {call.pid}", patience_s)
        self._log(view, "permit" if answer.permitted else "deny", armed, f", {answer.reason}")
        return answer.permitted

    def _carry_out(self, armed: Armed, view: View, sited: set[str]) -> Action:
        effect = self._effect(armed, view)
        if effect is None:
            return PROCEED
        armed.fired += 1
        if self.releases is not None and isinstance(armed.rule, Rule) and armed.rule.until_freed:
            self.releases.begin(effect.errno)
        if isinstance(armed.rule, Rule) and armed.rule.log:
            self._log(view, "permit" if effect.kind is None else "deny", armed)
        strike = None if effect.kind is None else self._strike(armed.index, effect, view, sited)
        if effect.kind is None and self.mode == "enforce" and exposed(view.call, view.syscall):
            effect = replace(effect, action=replace(effect.action, watch=True))
        if effect.action.watch or effect.tampering is not None:
            self._await(view, effect, strike)
        return effect.action

    def _await(self, view: View, effect: Effect, strike: int | None) -> None:
        """What is due before the call, now; what is due after it, in `leave`, unless it never happens."""
        call, tampering = view.call, effect.tampering
        entered = tampering is None or tampering.enter(call)
        if effect.action.suppress is None:
            said = spoken(call, view.syscall) if effect.kind is None else ()
            self.pending[call.tid] = Pending(strike=strike, effect=effect, entered=entered, spoken=said)
        elif tampering is not None:
            took = entered and tampering.leave(call, view.name, effect.action.suppress)
            if strike is not None:
                self.strikes[strike] = replace(self.strikes[strike], took=took)

    def _denied_by_default(self, view: View) -> Action:
        self.denied += 1
        self._log(view, "deny", None)
        self._strike(DEFAULT_RULE, DENIED, view, set())
        return DENIED.action

    def _strike(self, rule: int, effect: Effect, view: View, sited: set[str]) -> int | None:
        """Its place among those kept."""
        if len(self.strikes) >= MOST_STRIKES:
            return None
        if view.site not in sited:
            self.visits[view.site] += 1
        call = view.call
        self.strikes.append(
            Strike(
                rule=rule,
                syscall=view.name,
                pid=call.pid,
                site=view.site,
                nth=self.visits[view.site],
                errno=effect.errno,
                effect=effect.kind or "permit",
                path=view.path(),
                fd=view.descriptor(),
                stack=view.stack,
                took=not effect.action.watch,
            )
        )
        return len(self.strikes) - 1

    def _log(self, view: View, word: str, armed: Armed | None, why: str = "") -> None:
        if len(self.log) >= MOST_LOG_LINES:
            self.unlogged += 1
            return
        filters = 0 if armed is None else armed.index + 1
        self.log.append(audit.line(view, word, policy=self.policy.source, filters=filters, why=why))
