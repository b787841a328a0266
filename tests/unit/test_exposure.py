"""The two axes of a finding, and the weaknesses that guards name."""

import ast
import json
from pathlib import Path
from signal import Signals

import pytest

import firedamp.guards
from firedamp import cwe
from firedamp.finding import Effect
from firedamp.guards import judge, sanitizer
from firedamp.outcome import SMASHED, Access, Exited, Fatal, Frame, Killed, Outcome, Reach, Smash
from firedamp.run import reach
from firedamp.sanitizers import EXIT_STATUS
from firedamp.target import Target, TargetKind

OUTCOMES = Path(__file__).parents[1] / "outcomes"
ABORTING = Frame(module="/lib/libc.so.6", offset=1, function="__stack_chk_fail", function_offset=1)
PARSE = Frame(module="/b/replay", offset=9, function="parse", function_offset=9, own=True)
SMASH = Smash(found="41" * 8, changed_bytes=8)


def smashed(smash: Smash | None) -> Outcome:
    fatal = Fatal(signal=Signals.SIGABRT, code=-6, abort_message=SMASHED, stack=(ABORTING, PARSE), smash=smash)
    return Outcome(ending=Killed(signal=6), fatals=(fatal,), reach=Reach.REMOTE)


def faulted(access: Access, part: tuple[int, int] | None = None) -> Outcome:
    fatal = Fatal(
        signal=Signals.SIGSEGV, code=1, address=0x4141_4141, access=access, address_input=part, stack=(PARSE,)
    )
    return Outcome(ending=Killed(signal=11), fatals=(fatal,), reach=Reach.LOCAL)


def sanitized(sentence: str) -> Outcome:
    return Outcome(ending=Exited(status=EXIT_STATUS), sanitizer_report=f"==1==ERROR: AddressSanitizer: {sentence}")


@pytest.mark.parametrize(
    ("outcome", "effect", "because"),
    [
        (smashed(None), Effect.TAKEOVER, "not shown"),
        (smashed(Smash(found="41" * 8, changed_bytes=8, canary_input=(4, 12))), Effect.TAKEOVER, "on the canary"),
        (
            smashed(Smash(found="41" * 8, changed_bytes=8, canary_input=(4, 12), return_input=(20, 28))),
            Effect.TAKEOVER,
            "on the return address",
        ),
        (faulted(Access.EXEC, (3, 8)), Effect.TAKEOVER, "input[3:8]"),
        (faulted(Access.WRITE), Effect.TAKEOVER, "not shown"),
        (faulted(Access.READ), Effect.DENIAL, "ends"),
        (sanitized("heap-buffer-overflow on address\nWRITE of size 1 at"), Effect.TAKEOVER, "not shown"),
        (sanitized("heap-buffer-overflow on address\nREAD of size 1 at"), Effect.DENIAL, "leak"),
        (sanitized("heap-use-after-free on address\nREAD of size 1 at"), Effect.TAKEOVER, "not shown"),
    ],
)
def test_takeover_is_told_from_denial_with_what_was_shown(outcome: Outcome, effect: Effect, because: str) -> None:
    (detection,) = judge(outcome)
    assert (detection.effect, detection.reach) == (effect, outcome.reach)
    assert because in detection.because


def test_the_axes_are_no_part_of_the_identity() -> None:
    (unknown,), (known,) = judge(smashed(None)), judge(smashed(SMASH))
    assert unknown.identity("t") == known.identity("t")


def test_reach_is_what_the_owner_says_or_the_way_in_suggests() -> None:
    def target(kind: TargetKind, said: str | None = None) -> Target:
        return Target(name="t", kind=kind, root=Path("/"), input_from=said)

    assert reach(target(TargetKind.HARNESS)) is Reach.REMOTE
    assert reach(target(TargetKind.PROGRAM)) is reach(target(TargetKind.COMMAND)) is Reach.LOCAL
    assert reach(target(TargetKind.PROGRAM, "remote")) is Reach.REMOTE
    assert reach(target(TargetKind.HARNESS, "local")) is Reach.LOCAL


def test_every_weakness_in_the_guards_has_a_name() -> None:
    numbers: set[int] = set()
    for path in Path(firedamp.guards.__file__).parent.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.keyword) and node.arg == "cwe":
                numbers |= {each.value for each in ast.walk(node.value) if isinstance(each, ast.Constant)}
    said = {one["cwe"] for path in OUTCOMES.glob("*.json") for one in json.loads(path.read_text())["detections"]}
    said |= {*sanitizer.ADDRESS_CWES.values(), *(number for _, _, number in sanitizer.BEHAVIOUR_TYPES)}
    assert {121, 125, 617, 835} <= numbers | said <= cwe.NAMES.keys()
