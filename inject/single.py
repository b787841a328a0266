"""One run of a command under a policy: in place, with our own streams, as `strace -e inject=...` would do it.

No clean run stands beside it, so only what needs no comparison is judged: crashes and runs that do not end.
"""

import os
from dataclasses import replace
from pathlib import Path
from typing import Final

from firedamp.outcome import Outcome
from firedamp.run import Bench, Streams, resolve_outcome, resolve_stack
from firedamp.target import InputMode, Limits, Target, TargetKind
from firedamp.trace.client import Executor
from firedamp.trace.protocol import Execution, Interceptor
from inject.decide import Decider, DecisionReport, Mode
from inject.policy import Policy

DAY_S: Final = 86_400.0
TEBIBYTE: Final = 1 << 40
UNLIMITED: Final = Limits(wall_s=DAY_S, cpu_s=DAY_S, memory_bytes=TEBIBYTE, output_bytes=TEBIBYTE)


def run_once(
    command: tuple[str, ...],
    policy: Policy,
    *,
    mode: Mode = "inject",
    workdir: Path | None = None,
    limits: Limits = UNLIMITED,
    descriptors: tuple[int, ...] = (),
) -> tuple[Outcome, DecisionReport]:
    """Runs here, with our environment and streams; with `workdir`, in a private copy of that folder.

    `descriptors` of ours stay open in the program. PolicyError for what is not carried out, UsageError when the
    program cannot be started.
    """
    decider = Decider(policy, mode)
    if workdir is not None:
        outcome, report = _apart(command, decider, workdir, limits)
    else:
        outcome, report = _in_place(command, decider, limits, descriptors)
    assert isinstance(report, DecisionReport)
    strikes = tuple(replace(strike, stack=resolve_stack(strike.stack)) for strike in report.strikes)
    return replace(outcome, strikes=strikes), replace(report, strikes=strikes)


def _in_place(
    command: tuple[str, ...], decider: Interceptor, limits: Limits, descriptors: tuple[int, ...]
) -> tuple[Outcome, object]:
    execution = Execution(
        argv=command,
        environment=tuple(os.environ.items()),
        folder=Path.cwd(),
        inherit_streams=True,
        limits=limits,
        interceptor=decider,
        descriptors=descriptors,
    )
    with Executor() as executor:
        trace = executor.run(execution)
    return resolve_outcome(trace.outcome), trace.report


def _apart(command: tuple[str, ...], decider: Interceptor, workdir: Path, limits: Limits) -> tuple[Outcome, object]:
    target = Target(
        name=Path(command[0]).name,
        kind=TargetKind.COMMAND,
        root=workdir,
        command=command,
        input=InputMode.NONE,
        limits=limits,
    )
    with Bench(target, None) as bench:
        return bench.run_command(interceptor=decider, streams=Streams(inherit=True))
