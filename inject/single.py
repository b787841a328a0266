"""One run of a command under a policy: in place, with our own streams, as `strace -e inject=...` would do it.

No clean run stands beside it, so only what needs no comparison is judged: crashes and runs that do not end.
"""

import contextlib
import os
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from firedamp.errors import UsageError
from firedamp.outcome import Outcome
from firedamp.run import Bench, Streams, resolve_outcome, resolve_stack
from firedamp.target import Target
from firedamp.trace.client import Executor
from firedamp.trace.protocol import Execution
from firedamp.trace.terminal import foreground_group, keys_for_the_program
from inject.decide import MOST_STRIKES, Decider, DecisionReport
from inject.policy import Policy, lint, parse, unparse, unparse_rule
from inject.policy.model import Section

Part = tuple[str, str]  # where a piece of policy came from, for messages, and its text


def run_once(target: Target, parts: tuple[Part, ...], *, in_place: bool) -> tuple[Outcome, str, tuple[str, ...]]:
    """One run under all parts, the first match deciding: outcome, the whole policy as one text, and notes.

    In place: here, with our environment. Else in a private copy of the target's folder. Streams that the target does
    not name are ours. PolicyError for a mistake in a part, UsageError when the program cannot be started.
    """
    policies = [parse(text, source) for source, text in parts]
    policy = joined(policies)
    outcome, report, foreign = _in_place(target, policy) if in_place else _apart(target, policy)
    strikes = tuple(replace(strike, stack=resolve_stack(strike.stack)) for strike in report.strikes)
    notes = (
        *(f"{each.source}:{note}" for each in policies for note in lint(each)),
        *(
            f"rule {number} never fired: {unparse_rule(rule)}"
            for number, (rule, fired) in enumerate(zip(policy.rules, report.fired, strict=True), 1)
            if not fired
        ),
        *(
            f"rule {number} decided {fired:,} calls; only the first {MOST_STRIKES} faults of the run are listed"
            for number, fired in enumerate(report.fired, 1)
            if fired and len(report.strikes) >= MOST_STRIKES
        ),
        *foreign,
        *report.log,
    )
    return replace(outcome, strikes=strikes), unparse(policy), notes


def joined(policies: list[Policy]) -> Policy:
    """One after the other. A section for one program reaches to the end, so only the last part may have one."""
    for policy in policies[:-1]:
        if any(isinstance(item, Section) for item in policy.items):
            raise UsageError(f"{policy.source}: its sections would swallow the rules that follow; give it last")
    return Policy(items=tuple(item for policy in policies for item in policy.items), source=policies[0].source)


def _in_place(target: Target, policy: Policy) -> tuple[Outcome, DecisionReport, tuple[str, ...]]:
    group = foreground_group()
    execution = Execution(
        argv=target.command,
        environment=tuple(os.environ.items()),
        folder=Path.cwd(),
        inherit_streams=True,
        group=group,
        limits=target.limits,
        interceptor=Decider(policy, folder=str(Path.cwd())),
    )
    sys.stdout.flush()
    terminal = keys_for_the_program() if group is not None else contextlib.nullcontext()
    with terminal, redirected(target), Executor() as executor:
        trace = executor.run(execution)
    assert isinstance(trace.report, DecisionReport)
    return resolve_outcome(trace.outcome), trace.report, trace.foreign


def _apart(target: Target, policy: Policy) -> tuple[Outcome, DecisionReport, tuple[str, ...]]:
    """With files for some streams the others are passed on when the run is over."""
    streams = Streams.of(target)
    if streams == Streams():
        streams = Streams(inherit=True)
    sys.stdout.flush()
    with Bench(target, None) as bench:
        outcome, report = bench.run_command(interceptor=Decider(policy, folder=str(bench.room.path)), streams=streams)
    for descriptor, data in ((1, outcome.stdout), (2, outcome.stderr)):
        with os.fdopen(os.dup(descriptor), "wb") as stream:
            stream.write(data)
    assert isinstance(report, DecisionReport)
    return outcome, report, ()


@contextlib.contextmanager
def redirected(target: Target) -> Iterator[None]:
    """Our own streams are, for the time of the run, the files that the target names."""
    writes = os.O_WRONLY | os.O_CREAT | os.O_TRUNC
    wanted = ((0, target.stdin, os.O_RDONLY), (1, target.stdout, writes), (2, target.stderr, writes))
    with contextlib.ExitStack() as stack:
        for number, name, flags in wanted:
            if name is None:
                continue
            try:
                opened = os.open(name, flags | os.O_CLOEXEC, 0o666)
            except OSError as error:
                raise UsageError(f"{name}: {error.strerror}; name another file for this stream") from None
            saved = os.dup(number)
            os.dup2(opened, number)
            os.close(opened)
            stack.callback(os.close, saved)
            stack.callback(os.dup2, saved, number)
        yield
