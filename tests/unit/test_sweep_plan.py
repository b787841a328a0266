"""The plan of a sweep, from hits made by hand: which runs, with which policies, and what is left out and why."""

import subprocess
import sys

import pytest

from firedamp.outcome import Frame
from inject.linux import syscalls
from inject.linux.syscalls import CallFacts
from inject.observe.census import Hit, in_loader
from inject.policy import check, parse
from inject.sweeps.plan import INTERPRETER, STARTUP, TEXT, Plan, Selection, is_same_as_once, names_of, plan, policy_text

FOLDER = "/room/work"
FILE = CallFacts(descriptor_kind="file", open_flags=1)


def hit(syscall: str, site: str, nth: int = 1, path: str | None = f"{FOLDER}/out", **facts: object) -> Hit:
    given: dict[str, object] = {
        "fd": 3, "open_flags": 1, "errnos": syscalls.plausible(syscall, FILE), "startup": False, "result": 0, **facts,
    }  # fmt: skip
    return Hit(syscall=syscall, site=site, nth=nth, path=path, **given)  # type: ignore[arg-type]


def planned(*hits: Hit, program: str | None = None, **selection: object) -> Plan:
    steady = frozenset(each.path for each in hits if each.path is not None)
    return plan(hits, FOLDER, steady, Selection(**selection), program)  # type: ignore[arg-type]


def rules(made: Plan, name: str, *, lasting: bool) -> list[tuple[str, ...]]:
    return [fault.rules for fault in made.faults if fault.name == name and fault.lasting is lasting]


EXISTS = syscalls.plausible("openat", CallFacts(open_flags=0o301, descriptor_kind="file"))
WRITES = tuple(hit("write", "aaaaaaaa", nth) for nth in range(1, 8))


def test_the_first_second_and_last_hit_stand_for_a_site() -> None:
    made = planned(*WRITES, errnos=frozenset({"EIO"}))
    assert rules(made, "EIO", lasting=False) == [
        (f'write: site eq "aaaaaaaa" then deny[eio] when {nth}',) for nth in (1, 2, 7)
    ]
    assert made.sites == 1


def test_what_lasts_is_the_state_of_the_file_system_and_not_of_the_site() -> None:
    made = planned(
        hit("write", "bbbbbbbb", path="/memfd:stdout (deleted)", fd=1), *WRITES, errnos=frozenset({"ENOSPC"})
    )
    assert rules(made, "ENOSPC", lasting=True) == [
        ('write: fd eq "1" then deny[enospc] when 1+ until freed',),
        ('write: path match "$CWD" then deny[enospc] when 1+ until freed',),
        ('write: path match "$CWD" then deny[enospc] when 2+ until freed',),
        ('write: path match "$CWD" then deny[enospc] when 7+ until freed',),
    ]


def test_a_lasting_fault_follows_its_single_one_which_tells_whether_it_is_the_same() -> None:
    alone = planned(hit("write", "aaaaaaaa"), errnos=frozenset({"ENOSPC"}))
    once, lasting = alone.faults  # a program that tries again makes calls that no clean run has
    assert (once.lasting, lasting.lasting) == (False, True)
    assert is_same_as_once(lasting, 0) and not is_same_as_once(lasting, 1) and not is_same_as_once(once, 0)
    memory = planned(hit("brk", "aaaaaaaa", path=None, fd=None), errnos=frozenset({"ENOMEM"}))
    assert not is_same_as_once(memory.faults[1], 0)  # after brk it is mmap that asks again


def test_an_unreadable_file_stays_so_and_other_files_do_not() -> None:
    reads = (hit("read", "aaaaaaaa", path=f"{FOLDER}/a"), hit("read", "bbbbbbbb"), hit("read", "bbbbbbbb", 2))
    made = planned(*reads, errnos=frozenset({"EIO"}))
    assert rules(made, "EIO", lasting=True) == [
        ('read: path eq "$CWD/a" then deny[eio] when 1+',),
        ('read: path eq "$CWD/out" then deny[eio] when 1+',),
        ('read: path eq "$CWD/out" then deny[eio] when 2+',),
    ]


def test_names_that_another_run_would_not_know_again_leave_the_site() -> None:
    hits = (hit("read", "aaaaaaaa"), hit("read", "aaaaaaaa", 2))
    made = plan(hits, FOLDER, frozenset(), Selection(errnos=frozenset({"EIO"})))
    assert rules(made, "EIO", lasting=True) == [
        (f'read: site eq "aaaaaaaa" then deny[eio] when {nth}+',) for nth in (1, 2)
    ]


def test_only_what_can_come_up_short_does() -> None:
    def counts(*hits: Hit) -> list[tuple[str, ...]]:
        return [fault.rules for fault in planned(*hits, errnos=frozenset({"SHORT"})).faults]

    assert counts(hit("read", "aaaaaaaa", kind="file", result=20_000)) == [
        ('read: site eq "aaaaaaaa" then partial[8192] when 1',),
        ('read: path eq "$CWD/out" then partial[8192] when 1+',),
    ]
    assert not counts(hit("read", "aaaaaaaa", kind="file", result=4096))  # a page comes as a whole
    bit_by_bit = (hit("read", "aaaaaaaa", nth, kind="file", result=100) for nth in (1, 2))
    assert counts(*bit_by_bit)[0] == ('read: site eq "aaaaaaaa" then partial[50] when 2',)
    assert len(counts(hit("read", "aaaaaaaa", kind="file", result=100, fd=0))) == 2
    assert counts(hit("write", "aaaaaaaa", kind="file", result=9)) == [
        (
            'write: site eq "aaaaaaaa" then partial[4] when 1',
            'write: path match "$CWD" then deny[enospc] when 2+ until freed',
        ),
    ]
    pipe = {"path": "pipe:[7]", "kind": "pipe"}
    assert not counts(hit("write", "aaaaaaaa", result=4096, **pipe))
    assert len(counts(hit("write", "aaaaaaaa", result=4097, **pipe))) == 2
    assert len(counts(hit("write", "aaaaaaaa", result=4096, **{**pipe, "fd": 1}))) == 2
    assert len(counts(hit("read", "aaaaaaaa", result=2, **pipe))) == 2
    assert not counts(
        hit("read", "aaaaaaaa", result=1, **pipe),
        hit("read", "bbbbbbbb", result=-11, **pipe),
        hit("read", "cccccccc", result=8, path="anon_inode:[eventfd]", kind="anon"),
        hit("recvfrom", "dddddddd", result=80, path="socket:[8]", kind="datagram"),
        hit("getrandom", "eeeeeeee", result=256, path=None, fd=None),
    )
    random = counts(hit("getrandom", "eeeeeeee", result=300, path=None, fd=None))
    assert random[0] == ('getrandom: site eq "eeeeeeee" then partial[256] when 1',)


def test_signals_come_once_or_three_times_and_not_for_ever() -> None:
    interrupted = syscalls.plausible("poll", CallFacts(catches_signals=True))
    made = planned(hit("poll", "aaaaaaaa", 2, path=None, fd=None, errnos=interrupted), errnos=frozenset({"EINTR"}))
    once, burst = made.faults
    assert once.rules == ('poll: site eq "aaaaaaaa" then deny[eintr] when 2',)
    assert burst.rules == ('poll: site eq "aaaaaaaa" then deny[eintr] when 2..4',) and burst.lasting
    assert "poll fails with EINTR at hit 2" in policy_text(burst, ("tool",), ())


def test_what_people_know_comes_first_and_names_the_finding() -> None:
    names = list(dict.fromkeys(fault.name for fault in planned(hit("write", "aaaaaaaa")).faults))
    assert names[:2] == ["ENOSPC", "EIO"] and names[2:] == sorted(names[2:]) and "EDQUOT" in names


def test_a_name_that_is_taken_is_taken_once_where_nobody_uses_it_again() -> None:
    temporary = hit("openat", "aaaaaaaa", path=f"{FOLDER}/sedX1y2z3", fd=-100, errnos=EXISTS)
    assert plan((temporary,), FOLDER, frozenset(), Selection()).faults[0].lasting is False
    assert not rules(plan((temporary,), FOLDER, frozenset(), Selection()), "EEXIST", lasting=True)
    assert rules(planned(temporary), "EEXIST", lasting=True)  # the same name each time: a lock, a folder


def test_an_interpreter_comes_to_its_script_after_a_start_of_its_own() -> None:
    hits = (hit("read", "aaaaaaaa"), hit("openat", "bbbbbbbb", path="/usr/bin/tool"), hit("read", "cccccccc"))
    selection = Selection(errnos=frozenset({"EIO"}))
    made = plan(hits, FOLDER, frozenset(), selection, "/usr/bin/tool", script=True)
    assert {fault.hit.site for fault in made.faults} == {"cccccccc"} and INTERPRETER in made.skips
    binary = plan(hits, FOLDER, frozenset(), selection, "/usr/bin/tool")
    assert {fault.hit.site for fault in binary.faults} == {"aaaaaaaa", "cccccccc"}


def test_a_full_table_is_full_for_every_file() -> None:
    opens = [hit("openat", site, path=f"{FOLDER}/{site}", fd=-100) for site in ("aaaaaaaa", "bbbbbbbb", "cccccccc")]
    made = planned(*opens, errnos=frozenset({"EMFILE"}))
    assert rules(made, "EMFILE", lasting=True) == [
        ("openat: true then deny[emfile] when 1+ until freed",),
        ("openat: true then deny[emfile] when 2+ until freed",),
        ("openat: true then deny[emfile] when 3+ until freed",),
    ]


def test_memory_that_is_gone_is_gone_for_brk_and_mmap() -> None:
    asks = (hit("brk", "aaaaaaaa", path=None, fd=None), hit("mmap", "bbbbbbbb", path=None, fd=-1))
    made = planned(*asks, errnos=frozenset({"ENOMEM"}))
    first = rules(made, "ENOMEM", lasting=True)[0]
    assert first == (
        "brk: true then deny[enomem] when 1+ until freed",
        "mmap: true then deny[enomem] when 1+ until freed",
        "mremap: true then deny[enomem] when 1+ until freed",
    )


def test_what_is_left_out_is_counted_with_its_reason() -> None:
    text = hit("read", "cccccccc", path="/usr/bin/tool")
    hits = (hit("read", "aaaaaaaa", startup=True), hit("read", "bbbbbbbb"), text)
    made = planned(*hits, program="/usr/bin/tool", errnos=frozenset({"EIO"}))
    assert {fault.hit.site for fault in made.faults} == {"bbbbbbbb"} and made.sites == 1
    assert made.skips == {STARTUP: 1, TEXT: 1}
    everything = planned(*hits, program="/usr/bin/tool", errnos=frozenset({"EIO"}), startup=True)
    assert everything.sites == 3 and not everything.skips


def test_a_call_that_fails_so_without_us_is_not_struck() -> None:
    made = planned(hit("openat", "aaaaaaaa", result=-2), errnos=frozenset({"ENOENT", "EIO"}))
    assert {fault.name for fault in made.faults} == {"EIO"} and sum(made.skips.values()) == 1


def test_filters_take_names_families_and_classes() -> None:
    assert names_of(("write",)) >= {"write", "pwrite64", "writev"}
    assert "openat" in names_of(("%file",)) and names_of(("brk",)) == {"brk"}
    assert planned(*WRITES, syscalls=names_of(("read",))).faults == ()
    with pytest.raises(KeyError, match="did you mean"):
        names_of(("wriet",))


def test_every_reproducer_is_a_policy_that_is_carried_out_whatever_the_command_looks_like() -> None:
    frame = Frame(module="/bin/to\nol", offset=16, function="save", file="/src/s.c", line=7, own=True)
    for fault in planned(*WRITES, hit("openat", "dddddddd", path=f"{FOLDER}/a b", fd=-100, open_flags=0o101)).faults:
        text = policy_text(fault, ("tool", "a\nwrite: true then permit", "\x1b[2J"), (frame,))
        assert text.startswith("# firedamp policy 1\n")
        assert len(check(parse(text)).rules) == len(fault.rules)
        assert parse(text) == fault.policy()
        assert "save in to\\nol+0x10 (s.c:7)" in text


def test_the_loader_is_known_by_the_outermost_frame() -> None:
    loader = Frame(module="/lib64/ld-linux-x86-64.so.2", offset=1)
    program = Frame(module="/bin/tool", offset=1, own=True)
    assert in_loader((loader, loader)) and not in_loader((loader, program)) and not in_loader(())


def test_the_engine_is_light_until_it_is_used() -> None:
    code = (
        "import sys, inject; from firedamp.engine import load; assert load('inject') is inject.ENGINE; "
        "heavy = {'ptrace', 'atheris', 'elftools', 'inject.engine', 'firedamp.run'} & set(sys.modules); "
        "assert not heavy, heavy"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
