"""The guards over outcomes: recorded ones of real runs, glibc's own sentences, and any bytes at all."""

import json
from dataclasses import replace
from pathlib import Path
from signal import Signals
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter

from firedamp.guards import GUARDS, judge, unarmed
from firedamp.guards.faults_effect import decisive
from firedamp.guards.place import function_name, own_frames, place
from firedamp.outcome import (
    Access,
    Ending,
    Exited,
    Fatal,
    FormatMisuse,
    Frame,
    Killed,
    Outcome,
    OutOfMemory,
    Smash,
    Stall,
    Strike,
    TimedOut,
)
from firedamp.sanitizers import EXIT_STATUS, report_stack
from firedamp.target import Proof

RECORDED = sorted((Path(__file__).parent.parent / "outcomes").glob("*.json"))


def libc(function: str) -> Frame:
    return Frame(module="/lib/libc.so.6", offset=1, function=function, function_offset=1)


def own(function: str | None, offset: int = 16, *, line: int | None = 7) -> Frame:
    return Frame(
        module="/build/replay",
        offset=0x1000 + offset,
        function=function,
        function_offset=offset if function else None,
        file="/src/a.c" if line else None,
        line=line,
        own=True,
    )


STACK = (libc("__pthread_kill_implementation"), libc("raise"), libc("abort"), own("inner", 4), own("outer", 8))


def aborted(message: str | None, stack: tuple[Frame, ...] = STACK, *, ending: Ending | None = None) -> Outcome:
    fatal = Fatal(signal=Signals.SIGABRT, code=-6, abort_message=message, stack=stack)
    return Outcome(ending=ending or Killed(signal=6), fatals=(fatal,))


def kinds(outcome: Outcome) -> list[str]:
    return [detection.kind for detection in judge(outcome)]


@pytest.mark.parametrize("path", RECORDED, ids=lambda path: path.stem)
def test_a_recorded_outcome_is_judged_as_when_it_was_recorded(path: Path) -> None:
    sample = json.loads(path.read_text())
    outcome = TypeAdapter(Outcome).validate_python(sample["outcome"])
    said = [
        {"kind": one.kind, "cwe": one.cwe, "severity": one.severity, "place": list(one.place), "message": one.message}
        for one in judge(outcome)
    ]
    assert said == sample["detections"]


def test_there_are_recorded_outcomes() -> None:
    assert len(RECORDED) > 50


@pytest.mark.parametrize(
    ("message", "kind"),
    [
        ("*** stack smashing detected ***: terminated\n", "stack-smash"),
        ("*** buffer overflow detected ***: terminated\n", "fortify-overflow"),
        ("*** bit out of range 0 - FD_SETSIZE on fd_set ***: terminated\n", "glibc-fatal"),
        ("*** %n in writable segment detected ***\n", "fortify-percent-n"),
        ("*** %n in writable segments detected ***\n", "fortify-percent-n"),
        ("*** invalid %N$ use detected ***\n", "fortify-format-hole"),
        ("free(): invalid next size (fast)\n", "heap-corruption"),
        ("free(): double free detected in tcache 2\n", "heap-corruption"),
        ("double free or corruption (!prev)\n", "heap-corruption"),
        ("corrupted size vs. prev_size while consolidating\n", "heap-corruption"),
        ("corrupted double-linked list (not small)\n", "heap-corruption"),
        ("malloc(): corrupted top size\n", "heap-corruption"),
        ("munmap_chunk(): invalid pointer\n", "heap-corruption"),
        ("realloc(): invalid old size\n", "heap-corruption"),
        ("a.out: malloc.c:2617: sysmalloc: Assertion `(old_top == initial_top (av))' failed.\n", "heap-corruption"),
        ("Fatal error: glibc detected an invalid stdio handle\n", "glibc-fatal"),
        ("*** longjmp causes uninitialized stack frame ***: terminated\n", "glibc-fatal"),
        ("The futex facility returned an unexpected error code.\n", "glibc-fatal"),
        ("prog: list.c:12: pop: Assertion `count > 0' failed.\n", "assert"),
        ('prog: a b.c:12: Assertion `strcmp (x, "failed.") == 0\' failed.\n', "assert"),
        (None, "abort"),
        ("", "abort"),
    ],
)
def test_libc_says_why_it_aborts(message: str | None, kind: str) -> None:
    assert kinds(aborted(message)) == [kind]


@pytest.mark.parametrize(
    ("check", "kind"),
    [("__stack_chk_fail", "stack-smash"), ("__chk_fail", "fortify-overflow"), ("__assert_fail", "assert")],
)
def test_without_a_message_the_running_check_speaks(check: str, kind: str) -> None:
    stack = (libc("abort"), libc(check), own("inner"))
    assert kinds(aborted(None, stack)) == [kind]


def test_a_handler_does_not_hide_an_abort() -> None:
    message = "*** stack smashing detected ***: terminated\n"
    outcome = aborted(message, ending=Exited(status=0))
    outcome = replace(outcome, fatals=(replace(outcome.fatals[0], handled=True),))
    assert kinds(outcome) == ["stack-smash"]
    silent = replace(outcome, fatals=(replace(outcome.fatals[0], abort_message=None),))
    assert kinds(silent) == []  # raised under its own handler, and all went well
    assert kinds(replace(silent, ending=Exited(status=3))) == ["abort"]


def test_a_smashed_function_is_named_alone_since_what_is_above_is_overwritten() -> None:
    stack = (libc("abort"), libc("__fortify_fail"), libc("__stack_chk_fail"), own("parse.part.0", line=41), own("wild"))
    (detection,) = judge(aborted("*** stack smashing detected ***: terminated\n", stack))
    assert detection.place == ("parse",)
    assert detection.message == "canary of parse() (a.c:41) smashed"
    assert detection.frame is not None and detection.frame.line == 41


@pytest.mark.parametrize(("overrun", "words"), [(1, "1 byte"), (14, "14 bytes")])
def test_how_far_a_buffer_ran_over_is_told(overrun: int, words: str) -> None:
    smash = Smash(found="41" * 8, changed_bytes=8, buffer="name", buffer_bytes=16, overrun_bytes=overrun, proved=True)
    outcome = aborted("*** stack smashing detected ***: terminated\n", (libc("__stack_chk_fail"), own("parse")))
    (detection,) = judge(replace(outcome, fatals=(replace(outcome.fatals[0], smash=smash),)))
    assert detection.message.endswith(f"smashed: 16-byte name ran over by at least {words}")
    assert f"name of 16 bytes ran over by at least {words}" in detection.evidence


def test_the_smashed_function_may_lie_in_a_library_that_is_not_ours() -> None:
    stack = (libc("abort"), libc("__stack_chk_fail"), libc("qsort"), own("caller"))
    (detection,) = judge(aborted("*** stack smashing detected ***: terminated\n", stack))
    assert detection.place == ("qsort",)


def test_a_descriptor_beyond_its_set_is_told_from_an_overflow_where_libc_has_one_message_for_both() -> None:
    stack = (libc("abort"), libc("__chk_fail"), libc("__fdelt_chk"), own("watch"))
    assert kinds(aborted("*** buffer overflow detected ***: terminated\n", stack)) == ["glibc-fatal"]


def test_an_assertion_without_debug_information_takes_its_place_from_the_sentence() -> None:
    stack = (libc("abort"), libc("__assert_fail"), own(None, 0x40, line=None))
    (detection,) = judge(aborted("prog: list.c:12: pop: Assertion `n' failed.\n", stack))
    assert detection.frame is not None
    assert (detection.frame.function, detection.frame.file, detection.frame.line) == ("pop", "list.c", 12)


@pytest.mark.parametrize(("check", "cwe"), [("__strcpy_chk", 120), ("__sprintf_chk", 120), ("__memcpy_chk", 787)])
def test_the_check_decides_the_weakness(check: str, cwe: int) -> None:
    stack = (libc("abort"), libc("__chk_fail"), libc(check), own("copy"))
    (detection,) = judge(aborted("*** buffer overflow detected ***: terminated\n", stack))
    assert (detection.cwe, detection.place) == (cwe, ("copy+0x10",))
    assert detection.message.startswith(check)


def fault(signal: Signals, code: int, address: int | None, access: Access | None) -> Outcome:
    fatal = Fatal(signal=signal, code=code, address=address, access=access, stack=(own("inner"), own("outer")))
    return Outcome(ending=Killed(signal=signal), fatals=(fatal,))


@pytest.mark.parametrize(
    ("outcome", "kind"),
    [
        (fault(Signals.SIGSEGV, 1, 8, Access.READ), "segv-null"),
        (fault(Signals.SIGSEGV, 1, 0, Access.EXEC), "segv-null"),
        (fault(Signals.SIGSEGV, 1, 65535, Access.WRITE), "segv-null"),
        (fault(Signals.SIGSEGV, 1, 65536, Access.WRITE), "segv-write"),
        (fault(Signals.SIGSEGV, 128, 0, Access.READ), "segv-read"),  # a general protection fault has no address
        (fault(Signals.SIGSEGV, 2, 1 << 40, Access.EXEC), "segv-exec"),
        (fault(Signals.SIGSEGV, 1, 1 << 40, None), "segv-read"),
        (fault(Signals.SIGSEGV, -6, None, None), "signal-SIGSEGV"),  # raise(3)
        (fault(Signals.SIGFPE, 1, 4096, None), "fpe"),
        (fault(Signals.SIGILL, 2, 4096, None), "ill"),
        (fault(Signals.SIGBUS, 2, 4096, Access.READ), "bus"),
        (fault(Signals.SIGTRAP, 128, None, None), "signal-SIGTRAP"),
        (fault(Signals.SIGSYS, 1, 4096, None), "signal-SIGSYS"),
    ],
)
def test_signals_of_the_processor(outcome: Outcome, kind: str) -> None:
    (detection,) = judge(outcome)
    called = ("inner+0x10",) if not kind.startswith("signal-") else ("inner+0x10", "outer+0x10")
    assert (detection.kind, detection.place) == (kind, called)


def test_recursion_is_named_by_its_circle() -> None:
    stack = (own("leaf"), *(own(name, depth) for depth in range(30) for name in ("item", "list")))
    fatal = Fatal(signal=Signals.SIGSEGV, code=1, address=1 << 46, stack_exhausted=True, stack=stack)
    (detection,) = judge(Outcome(ending=Killed(signal=11), fatals=(fatal,)))
    assert (detection.kind, detection.place, detection.cwe) == ("stack-exhaustion", ("item",), 674)
    assert detection.frame is not None and detection.frame.function == "item"
    one_frame = replace(fatal, stack=(own("huge"), own("main")))
    (detection,) = judge(Outcome(ending=Killed(signal=11), fatals=(one_frame,)))
    assert (detection.place, detection.cwe) == (("huge",), 770)


@pytest.mark.parametrize("signal", [Signals.SIGKILL, Signals.SIGXFSZ, Signals.SIGXCPU, Signals.SIGTERM, Signals.SIGINT])
def test_what_we_or_others_ended_is_no_finding(signal: Signals) -> None:
    assert kinds(Outcome(ending=Killed(signal=signal))) == []


def test_a_harness_must_not_end_by_any_signal_of_its_own() -> None:
    assert kinds(Outcome(ending=Killed(signal=Signals.SIGTERM), inside_harness=True)) == ["signal-SIGTERM"]
    assert kinds(Outcome(ending=Killed(signal=Signals.SIGXFSZ), inside_harness=True)) == ["signal-SIGXFSZ"]
    assert kinds(Outcome(ending=Killed(signal=40))) == ["signal-SIGRT40"]


def test_limits() -> None:
    late = Outcome(
        ending=TimedOut(limit="wall", stall=Stall.BUSY), stall_stack=(libc("read"), own("loop"), own("main"))
    )
    (detection,) = judge(late)
    assert (detection.kind, detection.place) == ("timeout", ("loop",))
    under_faults = replace(late, strikes=(Strike(rule=0, syscall="read", pid=1, site="a", nth=1),))
    assert "timeout" not in kinds(under_faults)  # the oracle of faults says what the stall means
    assert kinds(Outcome(ending=OutOfMemory(resident_bytes=1 << 30))) == ["oom"]


def test_of_faults_that_strike_once_each_the_last_is_decisive() -> None:
    rename, write, brk, mmap, short = (
        Strike(rule=rule, syscall=syscall, pid=1, site=syscall, nth=1, effect=effect)
        for rule, syscall, effect in (
            *((0, "rename", "suppress"), (1, "write", "suppress")),
            *((0, "brk", "suppress"), (1, "mmap", "suppress"), (0, "write", "partial")),
        )
    )
    assert decisive((rename,)) is rename
    assert decisive((rename, write)) is write
    assert decisive((rename, write, write)) is rename  # it lasts: the disk was full from the first on
    assert decisive((brk, mmap)) is brk  # one lack of memory
    assert decisive((short, write)) is short  # what a full disk could not take


def test_exit_counts_inside_a_harness_alone() -> None:
    stack = (libc("_exit"), libc("exit"), own("usage"), own("LLVMFuzzerTestOneInput"), libc("main"))
    inside = Outcome(ending=Exited(status=0), exit_stack=stack, inside_harness=True)
    (detection,) = judge(inside)
    assert (detection.kind, detection.place[0]) == ("exit", "usage+0x10")
    assert kinds(replace(inside, inside_harness=False)) == []
    assert kinds(replace(inside, exit_stack=stack[:2])) == []  # after main had returned


REPORT = """=================================================================
==7==ERROR: AddressSanitizer: heap-buffer-overflow on address 0x602000000014 at pc 0x55 bp 0x7f sp 0x7f
WRITE of size 4 at 0x602000000014 thread T0
    #0 0x5581  (/build/replay+0x11c7) (BuildId: 00ff)
    #1 0x5582 in fill (/build/replay+0x12ab)

0x602000000014 is located 0 bytes to the right of 4-byte region
    #0 0x5590  (/build/replay+0x9999)
"""


def reported(report: str, status: int = EXIT_STATUS) -> Outcome:
    stack = tuple(replace(frame, own=True, function="fill", function_offset=1) for frame in report_stack(report))
    return Outcome(ending=Exited(status=status), sanitizer_report=report, sanitizer_stack=stack)


def test_a_sanitizer_report_counts_with_our_exit_status_alone() -> None:
    (detection,) = judge(reported(REPORT))
    assert (detection.kind, detection.cwe, detection.place) == ("asan-heap-buffer-overflow", 122, ("fill+0x1",))
    assert kinds(reported(REPORT, status=1)) == []
    assert kinds(Outcome(ending=Exited(status=EXIT_STATUS), stderr=REPORT.encode())) == []


def test_only_the_first_stack_of_a_report_is_the_place() -> None:
    assert [frame.offset for frame in report_stack(REPORT)] == [0x11C7, 0x12AB]


@pytest.mark.parametrize(
    ("sentence", "kind"),
    [
        ("==1==ERROR: AddressSanitizer: attempting double-free on 0x60 in thread T0:", "asan-double-free"),
        ("==1==ERROR: AddressSanitizer: attempting free on address which was not malloc()-ed: 0x6", "asan-bad-free"),
        ("==1==ERROR: AddressSanitizer: memcpy-param-overlap: memory ranges", "asan-memcpy-param-overlap"),
        ("==1==ERROR: AddressSanitizer: negative-size-param: (size=-1)", "asan-negative-size-param"),
        ("==1==ERROR: AddressSanitizer: stack-use-after-return on address", "asan-stack-use-after-return"),
        ("==1==ERROR: AddressSanitizer: requested allocation size 0xff", "asan-allocation-size-too-big"),
        ("a.c:1:2: runtime error: signed integer overflow: 2147483647 + 1", "ubsan-signed-integer-overflow"),
        ("a.c:1:2: runtime error: shift exponent 64 is too large for 32-bit type 'int'", "ubsan-shift"),
        ("a.c:1:2: runtime error: index 5 out of bounds for type 'int [4]'", "ubsan-bounds"),
        ("a.c:1:2: runtime error: member access within null pointer of type 'struct s'", "ubsan-null"),
        ("a.c:1:2: runtime error: load of misaligned address 0x1 for type 'int'", "ubsan-alignment"),
        ("a.c:1:2: runtime error: division by zero", "ubsan-integer-divide-by-zero"),
        ("a.c:1:2: runtime error: something new", "ubsan-other"),
    ],
)
def test_types_of_the_sanitizers(sentence: str, kind: str) -> None:
    assert kinds(reported(sentence + "\n")) == [kind]


@pytest.mark.parametrize(
    ("name", "plain"),
    [("f.isra.0", "f"), ("f.part.3.cold", "f"), ("f.constprop.0.isra.1", "f"), ("f.llvm.123", "f"), ("f.c", "f.c")],
)
def test_clones_are_their_function(name: str, plain: str) -> None:
    assert function_name(own(name)) == plain


def test_a_function_without_a_name_is_known_by_its_module() -> None:
    assert place((own(None, 0x20),)) == ("replay!0x1020",)
    assert place((own("sub_1a20", 0x20),)) == ("replay!sub_1a20+0x20",)


def test_direct_recursion_counts_once() -> None:
    stack = (own("walk", 1), own("walk", 2), own("walk", 2), own("main", 9))
    assert place(stack) == ("walk+0x1", "main+0x9")
    assert len(own_frames(stack)) == 2


def test_what_is_not_in_the_binary_is_not_armed() -> None:
    bare = Proof(canary=False)
    assert set(unarmed(bare)) == {"sanitizer", "stack_smash", "fortify", "format_arguments"}
    assert set(unarmed(replace(bare, canary=True, fortified=("__strcpy_chk",), formats=True))) == {"sanitizer"}


def stopped(function: str, **facts: Any) -> Outcome:
    stack = (own(function, line=None), own("inner", 4), own("outer", 8))
    stack = (replace(stack[0], own=False), *stack[1:])
    misuse = FormatMisuse(**{"call": "printf", "format": "%s\n", "asked": 1, "given": 0, **facts})
    fatal = Fatal(signal=Signals.SIGABRT, code=-1, format_misuse=misuse, handled=True, stack=stack)
    return Outcome(ending=Exited(status=0), fatals=(fatal,))


@pytest.mark.parametrize(
    ("facts", "cwe", "says"),
    [
        ({"constant": True}, 685, 'format asks for 1 argument, 0 were given: "%s\\n"'),
        ({"asked": 2, "given": 1}, 134, 'format asks for 2 arguments, 1 was given: "%s\\n"'),
        ({"given": 1, "argument": 1, "constant": True}, 686, "and argument 1 is of another type"),
        ({"given": None, "part": "input", "alike": (6, 2)}, 134, "and comes from the input"),
        ({"alike": (6, 1), "part": "argument 2"}, 134, "(byte 6 of argument 2)"),
        ({"alike": (6, 4), "part": "standard input"}, 134, "(bytes 6-9 of the standard input)"),
    ],
)
def test_a_format_is_explained_although_the_program_handles_the_signal(
    facts: dict[str, Any], cwe: int, says: str
) -> None:
    (detection,) = judge(stopped("firedamp_stop", **facts))
    assert (detection.kind, detection.cwe, detection.place) == ("format-arguments", cwe, ("inner+0x4",))
    assert says in detection.message


def test_facts_that_a_program_sends_itself_are_not_ours() -> None:
    assert kinds(replace(stopped("raise"), ending=Killed(signal=6))) == ["abort"]


def test_names_of_guards_are_unique() -> None:
    assert len({guard.name for guard in GUARDS}) == len(GUARDS)


TEXT = st.one_of(
    st.text(max_size=80),
    st.sampled_from(["*** stack smashing detected ***", "free(): ", "x:1: f: Assertion `a' failed.", REPORT, "%n ***"]),
    st.from_regex(r"==\d==ERROR: AddressSanitizer: .*|.* runtime error: .*", fullmatch=True),
)
FRAMES = st.lists(
    st.builds(
        Frame,
        module=st.sampled_from(["", "/lib/libc.so.6", "/build/replay", "[anon]"]),
        offset=st.integers(0, 1 << 64),
        function=st.none()
        | st.sampled_from(["", "abort", "__stack_chk_fail", "__chk_fail", "f.cold", "main"])
        | st.text(),
        function_offset=st.none() | st.integers(0, 1 << 20),
        file=st.none() | st.text(max_size=8),
        line=st.none() | st.integers(0, 99),
        own=st.booleans(),
    ),
    max_size=8,
).map(tuple)
FATALS = st.builds(
    Fatal,
    signal=st.sampled_from(list(Signals)),
    code=st.integers(-10, 200),
    address=st.none() | st.integers(0, (1 << 64) - 1),
    access=st.none() | st.sampled_from(list(Access)),
    abort_message=st.none() | TEXT,
    handled=st.booleans(),
    stack_exhausted=st.booleans(),
    stack=FRAMES,
)
ENDINGS = st.one_of(
    st.builds(Exited, status=st.sampled_from([0, 1, EXIT_STATUS, 255])),
    st.builds(Killed, signal=st.integers(1, 64)),
    st.builds(TimedOut, limit=st.sampled_from(["wall", "cpu"]), stall=st.sampled_from(list(Stall))),
    st.builds(OutOfMemory, resident_bytes=st.integers(0, 1 << 40)),
)
OUTCOMES = st.builds(
    Outcome,
    ending=ENDINGS,
    stdout=st.binary(max_size=20),
    stderr=st.binary(max_size=80) | TEXT.map(lambda text: text.encode("utf-8", "surrogatepass")),
    fatals=st.lists(FATALS, max_size=3).map(tuple),
    exit_stack=FRAMES,
    stall_stack=FRAMES,
    inside_harness=st.booleans(),
    sanitizer_report=TEXT,
    sanitizer_stack=FRAMES,
)


@given(OUTCOMES)
def test_judging_is_total_and_deaf_to_what_a_program_prints(outcome: Outcome) -> None:
    said = judge(outcome)
    assert said == judge(replace(outcome, stdout=b"", stderr=b""))
    for detection in said:
        assert detection.kind and detection.message and "\n" not in detection.kind
        assert len(detection.identity("target")) == 12


@given(OUTCOMES)
def test_one_crash_is_one_detection(outcome: Outcome) -> None:
    assert len(judge(outcome)) <= 1


@given(FATALS.filter(lambda fatal: not fatal.handled))
def test_every_unhandled_deadly_signal_is_a_finding(fatal: Fatal) -> None:
    assert len(judge(Outcome(ending=Killed(signal=fatal.signal), fatals=(fatal,)))) == 1
