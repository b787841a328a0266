"""Descriptors and files after a fault, from values alone: each verdict beside what nearly deserves it."""

from dataclasses import replace
from errno import EBADF

import pytest

from firedamp import guards
from firedamp.finding import Standing
from firedamp.outcome import (
    Aftermath,
    Created,
    Ending,
    Entry,
    EntryKind,
    Exited,
    Frame,
    Held,
    Killed,
    Misuse,
    Outcome,
    Scene,
    Strike,
)
from inject.observe.aftermath import aftermath
from inject.observe.census import Hit, Report
from inject.observe.ledger import Account, Opening

FOLDER = "/room/work"
SCENE = Scene(folder=FOLDER, argv=("tool",))
FILE = Entry(kind=EntryKind.FILE, mode=0o600, size=4, digest="temp")
CLEAN = Outcome(ending=Exited(status=0), scene=SCENE)


def frame(function: str, at: int, *, own: bool = True) -> Frame:
    start = 0x1000 * (1 + sum(function.encode()) % 251)
    return Frame(module="/bin/tool", offset=start + at, function=function, function_offset=at, own=own)


def stack(*calls: tuple[str, int]) -> tuple[Frame, ...]:
    """Outermost first, as one thinks; the C runtime's own frames around it."""
    inner = Frame(module="/lib/libc.so.6", offset=0x50, function="open", function_offset=4)
    outer = Frame(module="/lib/libc.so.6", offset=0x90, function="__libc_start_main", function_offset=4)
    return (inner, *reversed([frame(*call) for call in calls]), outer)


OPENED = stack(("main", 0x10), ("copy", 0x20))
CLOSED = stack(("main", 0x10), ("copy", 0x80))
STRUCK = stack(("main", 0x10), ("copy", 0x40), ("fill", 0x8))
AT_EXIT = stack(("main", 0x50))
LIBC = AT_EXIT[-1]
FD_LEAK = [("fd-leak", Standing.FINDING)]
HELD = Held(fd=3, path=f"{FOLDER}/in", opened=OPENED, closed=CLOSED)


def run(seen: Aftermath, *, ending: Ending = Exited(status=1), gone: str | None = None, **facts: object) -> Outcome:  # noqa: B008
    call = "write" if gone is None else "unlink"
    strike = Strike(rule=0, syscall=call, pid=1, site="3f2a9c71", nth=1, errno=5, stack=STRUCK, path=gone)
    outcome = Outcome(ending=ending, stderr=b"no\n", strikes=(strike,), baseline=CLEAN, scene=SCENE, aftermath=seen)
    return replace(outcome, **facts)  # type: ignore[arg-type]


def found(outcome: Outcome) -> list[tuple[str, Standing]]:
    return [(each.kind, each.standing) for each in guards.judge(outcome)]


def leak(held: Held = HELD, exit_stack: tuple[Frame, ...] = AT_EXIT) -> list[tuple[str, Standing]]:
    return found(run(Aftermath(held=(held,), exit_stack=exit_stack)))


def test_who_opens_and_closes_and_returns_without_closing_leaks() -> None:
    assert leak() == [("fd-leak", Standing.FINDING)]
    (detection,) = guards.judge(run(Aftermath(held=(HELD,), exit_stack=AT_EXIT)))
    assert detection.place[0] == "copy+0x20" and detection.cwe == 775
    assert "descriptor 3 (in) is open at exit, and copy() has returned" in detection.message


def test_who_keeps_a_descriptor_for_its_next_call_has_not_leaked_it() -> None:
    within = stack(("main", 0x10), ("copy", 0x30), ("fill", 0x8))
    between = stack(("main", 0x30), ("show", 0x8))  # the clean run has returned from copy() by then
    assert leak(replace(HELD, meanwhile=(within,))) == FD_LEAK
    assert leak(replace(HELD, meanwhile=(within, between))) == [("fd-leak", Standing.HINT)]


def test_who_exits_may_leave_its_descriptors_to_the_kernel() -> None:
    assert leak(exit_stack=stack(("main", 0x10), ("copy", 0x44), ("die", 0x8))) == []
    assert leak(exit_stack=()) == []  # it was killed, or other threads were alive
    in_main = Held(fd=3, path=None, opened=stack(("main", 0x20)), closed=stack(("main", 0x80)))
    assert leak(in_main) == []
    assert leak(replace(HELD, jumps=True)) == [("fd-leak", Standing.HINT)]  # from copy() to the end, perhaps


def test_main_is_whom_the_runtime_calls_also_where_start_has_no_name() -> None:
    start = frame("sub_1234", 0x2E)
    opened, closed, struck = ((*each, start) for each in (OPENED, CLOSED, STRUCK))
    outcome = run(Aftermath(held=(replace(HELD, opened=opened, closed=closed),), exit_stack=(LIBC, start)))
    assert found(replace(outcome, strikes=(replace(outcome.strikes[0], stack=struck),))) == FD_LEAK
    in_main = Held(fd=3, path=None, opened=(*stack(("main", 0x20)), start), closed=(*stack(("main", 0x80)), start))
    outcome = run(Aftermath(held=(in_main,), exit_stack=(LIBC, start)))
    strike = replace(outcome.strikes[0], stack=(*stack(("main", 0x40)), start))
    assert found(replace(outcome, strikes=(strike,))) == []


def test_a_descriptor_that_was_handed_over_is_a_hint_at_most() -> None:
    assert leak(replace(HELD, closed=stack(("main", 0x30)))) == [("fd-leak", Standing.HINT)]
    through = stack(("main", 0x10), ("load", 0x4), ("copy", 0x20))
    inner = stack(("main", 0x10), ("load", 0x4), ("copy", 0x40))
    closes = stack(("main", 0x10), ("load", 0x8))
    gone = run(Aftermath(held=(replace(HELD, opened=through, closed=closes),), exit_stack=AT_EXIT))
    strike = replace(gone.strikes[0], stack=inner)
    assert found(replace(gone, strikes=(strike,))) == [("fd-leak", Standing.FINDING)]  # load() has returned, too
    handed = replace(HELD, opened=stack(("main", 0x10), ("other", 0x20)))
    assert leak(handed) == []  # the fault struck elsewhere
    stripped = replace(HELD, opened=tuple(replace(each, function_offset=None) for each in OPENED))
    assert leak(stripped) == []


def test_who_goes_on_to_the_next_one_leaks() -> None:
    in_main = Held(fd=3, path=None, opened=stack(("main", 0x20)), closed=stack(("main", 0x80)), again=True)
    assert leak(in_main) == [("fd-leak", Standing.FINDING)]


CLOSE = Misuse(syscall="close", fd=3, stack=STRUCK)
CLEANUP = stack(("main", 0x60), ("clean_up", 0x8))


@pytest.mark.parametrize(
    ("misuse", "expected"),
    [
        (CLOSE, [("double-close", Standing.FINDING)]),
        (replace(CLOSE, failed=True), [("double-close", Standing.HINT)]),
        (replace(CLOSE, failed=True, alone=False), [("double-close", Standing.FINDING)]),
        (replace(CLOSE, failed=True, at_once=True), [("double-close", Standing.FINDING)]),
        (replace(CLOSE, failed=True, at_once=True, stack=CLEANUP), [("double-close", Standing.HINT)]),
        (replace(CLOSE, fd=-1), []),
        (replace(CLOSE, fd=0), [("double-close", Standing.HINT)]),
        (replace(CLOSE, syscall="write", fd=-1), [("stale-descriptor", Standing.FINDING)]),
        (replace(CLOSE, syscall="write"), [("stale-descriptor", Standing.FINDING)]),
        (replace(CLOSE, syscall="fcntl", fd=-1), [("stale-descriptor", Standing.HINT)]),
    ],
)
def test_calls_on_what_is_no_descriptor(misuse: Misuse, expected: list[tuple[str, Standing]]) -> None:
    assert found(run(Aftermath(misuses=(misuse,)))) == expected


def test_a_close_tried_again_that_ends_well_took_ebadf_for_what_it_is() -> None:
    again = Aftermath(misuses=(replace(CLOSE, failed=True, at_once=True),))
    assert found(run(again, ending=Exited(status=0))) == [("double-close", Standing.HINT)]


def test_a_sweep_over_all_numbers_is_no_double_close() -> None:
    assert found(run(Aftermath(misuses=tuple(replace(CLOSE, fd=fd) for fd in (3, 4, 5))))) == []


def left(path: str, ending: Ending = Exited(status=1), **facts: object) -> list[tuple[str, Standing]]:  # noqa: B008
    return found(run(Aftermath(created=(Created(path=path, stack=OPENED),)), ending=ending, **facts))


FINDING = [("leftover-file", Standing.FINDING)]
TEMPORARY = "/room/tmp/x1"


def test_what_the_program_made_for_itself_and_left() -> None:
    assert left(f"{FOLDER}/temp", after={"temp": FILE}) == FINDING
    assert left(TEMPORARY, temporary=("x1",)) == FINDING
    assert left(TEMPORARY) == [] and left(f"{FOLDER}/temp") == []  # removed
    assert left(f"{FOLDER}/temp", after={"temp": FILE}, unstable=frozenset({"temp"})) == []


def test_what_a_clean_run_leaves_is_its_output_and_who_is_killed_cannot_clean_up() -> None:
    declared = replace(CLEAN, after={"temp": FILE}, temporary=("x0",))
    assert left(f"{FOLDER}/temp", after={"temp": FILE}, baseline=declared) == []
    assert left(TEMPORARY, temporary=("x1",), baseline=declared) == []
    assert left(f"{FOLDER}/temp", after={"temp": FILE}, ending=Killed(signal=9)) == []


def test_what_is_kept_since_the_way_back_failed_too_is_a_hint() -> None:
    outcome = run(Aftermath(created=(Created(path=f"{FOLDER}/journal", stack=OPENED),)), after={"journal": FILE})
    again = replace(outcome.strikes[0], nth=2)
    assert found(replace(outcome, strikes=(*outcome.strikes, again))) == FINDING
    elsewhere = replace(again, site="00112233")
    assert found(replace(outcome, strikes=(*outcome.strikes, elsewhere))) == [("leftover-file", Standing.HINT)]


def test_what_cannot_be_removed_is_a_hint_where_nothing_is_said() -> None:
    assert left(TEMPORARY, temporary=("x1",), gone=TEMPORARY) == []
    silent = left(TEMPORARY, Exited(status=0), temporary=("x1",), gone=TEMPORARY, stderr=b"")
    assert silent == [("leftover-file", Standing.HINT)]


def hit(syscall: str, site: str, nth: int = 1, result: int = 0, fd: int | None = None, pid: int = 7) -> Hit:
    return Hit(
        syscall=syscall, site=site, nth=nth, fd=fd, path=None, open_flags=0, errnos=(), startup=False, result=result,
        pid=pid,
    )  # fmt: skip


def opening(**facts: object) -> Opening:
    given: dict[str, object] = {"site": "a", "nth": 1, "fd": 3, "path": None, "stack": OPENED, "before": True, **facts}
    return Opening(**given)  # type: ignore[arg-type]


def held(*hits: Hit, **facts: object) -> tuple[Held, ...]:
    return aftermath(Report(hits=hits, stacks={"c": CLOSED}), Account(held=(opening(**facts),))).held


def test_a_descriptor_is_known_again_by_the_call_that_made_it() -> None:
    opens, closes = hit("openat", "a", result=3), hit("close", "c", fd=3)
    assert [each.closed for each in held(opens, closes)] == [CLOSED]
    assert held(opens) == ()  # the clean run leaves it open
    assert held(opens, replace(closes, pid=8)) == ()
    assert held(opens, replace(opens, nth=2, result=4), closes) == ()  # several may be open at a time
    assert held(opens, closes, nth=2) == () and held(opens, closes, before=False) == ()
    assert held(hit("openat", "a", result=4), closes) == ()  # the runs differ


def test_what_the_clean_run_misuses_too_is_its_way() -> None:
    from firedamp.unwind import site_digest

    misuse = Misuse(syscall="close", fd=9, stack=STRUCK)
    site = site_digest("close", STRUCK)
    account = Account(misuses=(misuse,))
    assert aftermath(Report(), account).misuses == (misuse,)
    assert aftermath(Report(hits=(hit("close", site, result=-EBADF, fd=9),)), account).misuses == ()


def message(text: bytes, errnos: frozenset[int] | None = None, **facts: object) -> list[tuple[str, Standing]]:
    return found(run(Aftermath(errnos=errnos), stderr=text, **facts))


def test_a_message_that_names_an_error_which_no_call_returned_is_a_hint() -> None:
    assert message(b"tool: in: Success\n") == [("wrong-message", Standing.HINT)]
    assert message(b"tool: in: Input/output error\n") == message(b"tool: in: all is lost\n") == []
    other = b"tool: in: Bad file descriptor\n"
    assert message(other, frozenset({5})) == [("wrong-message", Standing.HINT)]
    assert message(other, frozenset({5, EBADF})) == message(other) == []
    assert message(other + b"tool: Input/output error\n", frozenset({5})) == []


def test_to_fail_without_a_word_is_a_hint() -> None:
    scene = replace(run(Aftermath()).strikes[0], path=f"{FOLDER}/in")
    mute = run(Aftermath(), stderr=b"", strikes=(scene,))
    assert found(mute) == [("mute-failure", Standing.HINT)]
    stream = replace(scene, path="/memfd:captured (deleted)")
    assert found(replace(mute, strikes=(stream,))) == []  # who cannot write there cannot say so
    assert found(replace(mute, stdout=b"failed\n")) == [] and found(replace(mute, ending=Exited(status=0))) == []
