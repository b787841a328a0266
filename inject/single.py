"""One run of a command under a policy: in place, with our own streams, as `strace -e inject=...` would do it.

No clean run stands beside it, so only what needs no comparison is judged: crashes and runs that do not end.
"""

import contextlib
import os
import re
import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from firedamp.errors import UsageError
from firedamp.injector import Lesson, Mode, Part, SingleRun
from firedamp.naming import resolve_outcome, resolve_stack
from firedamp.outcome import Outcome
from firedamp.run import Bench, Streams
from firedamp.target import Target
from firedamp.trace.client import Executor
from firedamp.trace.protocol import Execution, Interceptor
from firedamp.trace.terminal import foreground_group, keys_for_the_program
from inject.decide import allocation
from inject.decide.decider import DEFAULT_RULE, MOST_STRIKES, Decider, DecisionReport
from inject.learn import Learner, Observed, grown
from inject.policy import Note, Policy, lint, parse, unparse, unparse_rule
from inject.policy.model import Section

QUOTED = re.compile(r"'[^']*'")


def run_once(target: Target, parts: tuple[Part, ...], *, in_place: bool, mode: Mode = "inject") -> SingleRun:
    """One run under all parts. PolicyError for a mistake in a part, UsageError when the program cannot be started."""
    policies = [parse(text, source) for source, text in parts]
    policy = joined(policies)
    with Stage(target, policy, in_place=in_place) as stage:
        outcome, report = stage.run(Decider(policy, mode, folder=stage.folder))
    assert isinstance(report, DecisionReport)
    strikes = tuple(replace(strike, stack=resolve_stack(strike.stack)) for strike in report.strikes)
    notes = (
        *(note for each in policies for note in _surprises(each, policies)),
        *(_vacuous(policy, report) if mode == "inject" else ()),
        *_uncounted(report),
        *stage.foreign,
    )
    outcome = replace(outcome, strikes=strikes)
    return SingleRun(
        outcome=outcome,
        policy=unparse(policy),
        notes=notes,
        log=report.log,
        denied=report.denied,
        slipped=report.slipped,
    )


def learn(target: Target, policy: Part, *, in_place: bool) -> Lesson:
    """As run_once, except that what the policy leaves open is permitted, and added to it."""
    source, text = policy
    parsed = parse(text, source)
    with Stage(target, parsed, in_place=in_place) as stage:
        outcome, report = stage.run(Learner(parsed, folder=stage.folder))
    assert isinstance(report, Observed)
    macros = {"CWD": stage.folder} | {name: os.environ[name] for name in ("HOME",) if name in os.environ}
    learned = grown(text, report.observations, target.command, macros)
    return Lesson(
        outcome=outcome,
        policy=learned.text,
        added=learned.added,
        sufficiency=learned.sufficiency(),
        notes=(*_surprises(parsed, (parsed,)), *stage.foreign, *report.decided.log),
    )


def _surprises(policy: Policy, parts: Sequence[Policy]) -> Iterator[str]:
    """What lint notes; of notes that differ in names alone, the first and how many more."""
    alike: dict[str, list[Note]] = {}
    for note in lint(policy, parts):
        if note.learned:
            continue
        alike.setdefault(QUOTED.sub("", note.message), []).append(note)
    for first, *more in alike.values():
        yield f"{policy.source}:{first}" + (f" (and {len(more)} more like it)" if more else "")


def _vacuous(policy: Policy, report: DecisionReport) -> Iterator[str]:
    for number, (rule, fired) in enumerate(zip(policy.rules, report.fired, strict=True), 1):
        if not fired:
            yield f"rule {number} never fired: {unparse_rule(rule)}"


def _uncounted(report: DecisionReport) -> Iterator[str]:
    """A program that tries again makes millions of strikes, and not all are kept."""
    if len(report.strikes) < MOST_STRIKES:
        return
    for number in sorted({strike.rule for strike in report.strikes}):
        decided = "the default" if number == DEFAULT_RULE else f"rule {number + 1}"
        count = report.denied + report.slipped if number == DEFAULT_RULE else report.fired[number]
        yield f"{decided} decided {count:,} calls; only the first {MOST_STRIKES} faults of the run are listed"


def joined(policies: list[Policy]) -> Policy:
    """One after the other. A section for one program reaches to the end, so only the last part may have one."""
    for policy in policies[:-1]:
        if any(isinstance(item, Section) for item in policy.items):
            raise UsageError(f"{policy.source}: its sections would swallow the rules that follow; give it last")
    return Policy(items=tuple(item for policy in policies for item in policy.items), source=policies[0].source)


class Stage:
    """Where the program runs: here, with our environment and streams, or in a private copy of the target's folder.

    With the environment that the policy needs. A context manager; `folder` is the working folder, `foreign` what could
    not be seen of the run.
    """

    def __init__(self, target: Target, policy: Policy, *, in_place: bool) -> None:
        self.target = target
        self.policy = policy
        self.in_place = in_place
        self.folder = str(Path.cwd())
        self.foreign: tuple[str, ...] = ()
        self._stack = contextlib.ExitStack()

    def __enter__(self) -> "Stage":
        if not self.in_place:
            self._bench = self._stack.enter_context(Bench(self.target, None))
            self._bench.variables = allocation.variables(self.policy, self._bench.environment())
            self.folder = str(self._bench.room.path)
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def run(self, interceptor: Interceptor) -> tuple[Outcome, object]:
        sys.stdout.flush()
        return self._here(interceptor) if self.in_place else self._apart(interceptor)

    def _here(self, interceptor: Interceptor) -> tuple[Outcome, object]:
        group = foreground_group()
        execution = Execution(
            argv=self.target.command,
            environment=tuple({**os.environ, **allocation.variables(self.policy, os.environ)}.items()),
            folder=Path(self.folder),
            inherit_streams=True,
            group=group,
            limits=self.target.limits,
            interceptor=interceptor,
        )
        terminal = keys_for_the_program() if group is not None else contextlib.nullcontext()
        with terminal, Executor() as executor:
            trace = executor.run(execution)
        self.foreign = trace.foreign
        return resolve_outcome(trace.outcome), trace.report

    def _apart(self, interceptor: Interceptor) -> tuple[Outcome, object]:
        """With files for some streams the others are passed on when the run is over."""
        streams = Streams.of(self.target)
        if streams == Streams():
            streams = Streams(inherit=True)
        outcome, report = self._bench.run_command(interceptor=interceptor, streams=streams)
        self.foreign = tuple(self._bench.foreign)
        for descriptor, data in ((1, outcome.stdout), (2, outcome.stderr)):
            with os.fdopen(os.dup(descriptor), "wb") as stream:
                stream.write(data)
        return outcome, report
