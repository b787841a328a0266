"""What a run under faults means, from values alone: each verdict beside the nearest outcome that deserves none."""

import errno
from dataclasses import replace
from signal import Signals

import pytest

from firedamp import guards
from firedamp.finding import Detection, Standing
from firedamp.guards.faults_effect import said
from firedamp.guards.faults_touch import Touched, is_data, touched
from firedamp.outcome import (
    Ending,
    Entry,
    EntryKind,
    Exited,
    Fatal,
    Frame,
    Killed,
    Outcome,
    Scene,
    Stall,
    Strike,
    TimedOut,
)

FOLDER = "/room/work"
SCENE = Scene(folder=FOLDER, argv=("tool", "in.txt", "--out=/srv/data/x"))
OWN = Frame(module="/bin/tool", offset=0x1200, function="save", function_offset=0x20, file="s.c", line=7, own=True)
MAIN = Frame(module="/bin/tool", offset=0x1100, function="main", function_offset=0x10, own=True)
LIBC = Frame(module="/lib/libc.so.6", offset=0x10, function="write", function_offset=4)


def entry(content: str) -> Entry:
    return Entry(kind=EntryKind.FILE, mode=0o644, size=len(content), digest=content)


def strike(
    syscall: str = "write", number: int = errno.ENOSPC, path: str | None = f"{FOLDER}/out", **facts: object
) -> Strike:
    given = {"rule": 0, "pid": 1, "site": "3f2a9c71", "nth": 1, "stack": (LIBC, OWN, MAIN), **facts}
    return Strike(syscall=syscall, errno=number, path=path, **given)  # type: ignore[arg-type]


BEFORE = {"state": entry("old")}
CLEAN = Outcome(
    ending=Exited(status=0), stdout=b"fine\n", before=BEFORE, after={**BEFORE, "out": entry("whole")}, scene=SCENE
)


def run(*strikes: Strike, ending: Ending = Exited(status=0), **facts: object) -> Outcome:  # noqa: B008
    given: dict[str, object] = {"stdout": CLEAN.stdout, "before": BEFORE, "after": CLEAN.after, **facts}
    outcome = Outcome(ending=ending, strikes=strikes or (strike(),), baseline=CLEAN, scene=SCENE)
    return replace(outcome, **given)  # type: ignore[arg-type]


def findings(outcome: Outcome) -> list[str]:
    return [each.kind for each in guards.judge(outcome) if each.standing is Standing.FINDING]


def only(outcome: Outcome) -> Detection:
    (detection,) = guards.judge(outcome)
    return detection


GETPW = replace(LIBC, function="getpwuid", offset=0x90)
MALLOC = replace(LIBC, function="malloc", offset=0x70)


@pytest.mark.parametrize(
    ("struck", "died", "standing"),
    [
        ((MALLOC, GETPW, OWN, MAIN), (LIBC, GETPW, OWN, MAIN), Standing.HINT),  # one call into libc, and no way out
        ((MALLOC, GETPW, OWN, MAIN), (LIBC, replace(OWN, offset=0x1240), MAIN), Standing.FINDING),  # it came back
        ((MALLOC, OWN, MAIN), (LIBC, OWN, MAIN), Standing.FINDING),
        ((MALLOC, GETPW, OWN, MAIN), (OWN, MAIN), Standing.FINDING),
    ],
)
def test_a_crash_in_the_call_that_could_not_have_memory_is_the_librarys(
    struck: tuple[Frame, ...], died: tuple[Frame, ...], standing: Standing
) -> None:
    fault = strike("malloc", errno.ENOMEM, None, stack=struck)
    fatal = Fatal(signal=Signals.SIGSEGV, code=1, address=0, stack=died)
    detection = only(run(fault, ending=Killed(signal=Signals.SIGSEGV), fatals=(fatal,)))
    assert (detection.kind, detection.standing) == ("segv-null", standing)
    assert detection.message.startswith("inside the C library: ") is (standing is Standing.HINT)


SHORT = {**BEFORE, "out": entry("who")}
GONE = dict(BEFORE)


@pytest.mark.parametrize("after", [SHORT, GONE, {**BEFORE, "out": entry("wrong")}])
def test_success_with_data_missing_or_wrong(after: dict[str, Entry]) -> None:
    assert findings(run(after=after)) == ["silent-success"]
    assert findings(run(after=after, stderr=b"tool: no space\n")) == ["swallowed-error"]
    assert findings(run(after=after, ending=Exited(status=1))) == []  # it said so
    assert findings(run(after=CLEAN.after)) == []


def test_the_message_says_what_is_missing_and_the_place_who_wrote_it() -> None:
    detection = only(run(after=SHORT))
    assert detection.message == "write ENOSPC: exit 0 and nothing on stderr, but out has 3 of 5 bytes"
    assert detection.place == ("save+0x20", "main+0x10") and detection.frame == OWN
    assert detection.cwe == 252


def test_several_errnos_and_calls_of_one_place_are_one_finding() -> None:
    seen = {
        only(run(strike(name, number), after=SHORT)).identity("t")
        for name in ("write", "writev", "close", "newfstatat")  # fclose(3), opendir(3): one result
        for number in (errno.ENOSPC, errno.EIO)
    }
    assert len(seen) == 1
    elsewhere = only(run(strike(stack=(LIBC, MAIN)), after=SHORT))
    assert elsewhere.identity("t") not in seen


def test_a_clean_status_of_one_is_no_failure_and_the_same_status_is_success() -> None:
    clean = replace(CLEAN, ending=Exited(status=1))
    assert findings(replace(run(after=SHORT, ending=Exited(status=1)), baseline=clean)) == ["silent-success"]
    assert findings(replace(run(after=SHORT, ending=Exited(status=2)), baseline=clean)) == []
    assert findings(run(after=SHORT, ending=Exited(status=128))) == []  # git's way to say it


def test_what_differs_between_clean_runs_is_not_judged() -> None:
    assert findings(run(after=SHORT, unstable=frozenset({"out"}))) == []
    assert findings(run(stdout=b"", unstable=frozenset({"stdout"}))) == []
    assert findings(run(stdout=b"")) == ["silent-success"]


def test_words_of_the_clean_run_are_nothing_new() -> None:
    clean = replace(CLEAN, stderr=b"17 records in 0.25 s\n")
    with_times = replace(run(stderr=b"18 records in 0.31 s\n"), baseline=clean)
    assert said(with_times) == "18 records in 0.31 s"
    assert said(replace(with_times, unstable=frozenset({"stderr"}))) == ""
    assert said(run(stderr=b"same\nsame\n")) == "same"


def test_the_users_check_decides() -> None:
    clean = replace(CLEAN, check_status=0)
    assert findings(replace(run(after=SHORT, check_status=0), baseline=clean)) == []
    assert findings(replace(run(check_status=1), baseline=clean)) == ["silent-success"]
    assert findings(replace(run(check_status=1, ending=Exited(status=1)), baseline=clean)) == []
    broken = replace(CLEAN, check_status=1)
    assert findings(replace(run(check_status=1), baseline=broken)) == []


@pytest.mark.parametrize("syscall", ["close", "fsync", "fdatasync"])
def test_a_failed_close_or_fsync_is_a_hint_unless_data_is_lost(syscall: str) -> None:
    detection = only(run(strike(syscall, errno.EIO)))
    assert detection.standing is Standing.HINT and findings(run(strike(syscall, errno.EIO))) == []
    assert detection.message == f"{syscall} EIO is ignored; the data of out was whole this time"
    assert not any(FOLDER in line for line in detection.evidence)  # the private folder is gone by then
    assert findings(run(strike(syscall, errno.EIO), after=SHORT)) == ["silent-success"]
    assert guards.judge(run(strike(syscall, errno.EIO, f"{FOLDER}/state"))) == ()  # was only read
    assert guards.judge(run(strike(syscall, errno.EIO), stderr=b"close failed\n")) == ()


def test_a_lookup_may_change_how_things_are_shown_but_not_lose_them() -> None:
    fault = strike("openat", errno.EACCES, "/etc/passwd")
    assert only(run(fault, stdout=b"0\n")).standing is Standing.BENIGN
    numbers = {**BEFORE, "out": entry("names")}
    assert only(run(fault, after=numbers)).standing is Standing.BENIGN  # tar's owners
    assert findings(run(fault, after=GONE)) == ["silent-success"]
    nss = Frame(module="/lib/libc.so.6", offset=1, function="getpwuid")
    through_libc = strike("mmap", errno.ENOMEM, None, stack=(LIBC, nss, OWN))
    assert only(run(through_libc, stdout=b"0\n")).standing is Standing.BENIGN
    assert findings(run(strike("mmap", errno.ENOMEM, None), stdout=b"0\n")) == ["silent-success"]


def test_files_of_the_machine_count_for_data_only() -> None:
    fault = strike("openat", errno.EIO, "/usr/share/misc/magic.mgc")
    assert only(run(fault, stdout=b"data\n")).standing is Standing.BENIGN
    assert findings(run(fault, after=SHORT)) == ["silent-success"]


def test_that_a_file_is_not_there_is_an_answer_unless_the_command_names_it() -> None:
    assert findings(run(strike("openat", errno.ENOENT, f"{FOLDER}/.toolrc"), after=SHORT)) == []
    assert findings(run(strike("openat", errno.ENOENT, f"{FOLDER}/in.txt"), after=SHORT)) == ["silent-success"]
    assert findings(run(strike("getdents64", errno.ENOENT, FOLDER), stdout=b"")) == []
    assert findings(run(strike("getdents64", errno.EIO, FOLDER), stdout=b"")) == ["silent-success"]
    named = f"{FOLDER}/in.txt"  # as tar cf o.tar FOLDER does; readdir(3) keeps this errno from its caller
    assert findings(run(strike("getdents64", errno.ENOENT, named), after=SHORT)) == []
    assert findings(run(strike("access", errno.EACCES), stdout=b"")) == []
    assert findings(run(strike("access", errno.EACCES, named), stdout=b"read-only, tried anyway")) == []  # patch(1)
    assert findings(run(strike("access", errno.ENOENT, named), stdout=b"")) == ["silent-success"]


@pytest.mark.parametrize(
    ("path", "data"),
    [
        (f"{FOLDER}/a/b", True), ("/room/tmp/x", True), ("/srv/data/x", True), ("/srv/data/x/y", True),
        ("pipe:[7]", True), ("/memfd:stdout (deleted)", True), ("/tmp/sortX (deleted)", True),
        ("/srv/data/xy", False), ("/dev/null", False), ("/etc/passwd", False), ("/room/workshop", False),
    ],
)  # fmt: skip
def test_what_is_data(path: str, data: bool) -> None:
    assert is_data(path, SCENE) is data


def test_processes_matter_as_data_does() -> None:
    assert (
        touched(strike("openat", errno.EMFILE, "/etc/ld.so.cache"), SCENE) is Touched.LOOKUP
    )  # of a plug-in for names
    assert touched(strike("clone", errno.EAGAIN, None), SCENE) is Touched.PROCESS
    assert findings(run(strike("vfork", errno.EAGAIN, None), stdout=b"")) == ["silent-success"]


BETWEEN = {"state": entry(""), "out": entry("whole")}


def test_a_file_in_neither_state_is_wrong_whether_reported_or_not() -> None:
    loud = only(run(after=BETWEEN, ending=Exited(status=1), stderr=b"failed\n"))
    quiet, mute = guards.judge(run(after=BETWEEN, ending=Exited(status=1)))
    assert (mute.kind, mute.standing) == ("mute-failure", Standing.HINT)
    assert (loud.kind, quiet.kind) == ("wrong-state", "wrong-state") and loud.severity != quiet.severity
    assert loud.message == "write ENOSPC: state has 0 bytes: 3 before, 3 after a clean run; the failure is reported"
    assert findings(run(after=BETWEEN)) == ["silent-success"]


def test_who_gave_the_old_content_up_is_the_one_cause_of_reported_failures() -> None:
    remover = replace(OWN, function="replace_it", offset=0x1300)
    clean = replace(CLEAN, given_up={"state": (LIBC, remover, MAIN)})
    failed = replace(run(after=BETWEEN, ending=Exited(status=1), stderr=b"failed\n"), baseline=clean)
    later = replace(failed, strikes=(strike("close", errno.EIO, stack=(LIBC, MAIN)),))
    one, other = only(failed), only(later)
    assert one.identity("t") == other.identity("t") and one.frame == remover
    assert "the old content is given up in replace_it()" in one.message
    silent, _ = guards.judge(replace(failed, stderr=b""))
    assert silent.place == ("save+0x20", "main+0x10")


def test_a_journal_that_is_kept_makes_a_wrong_state_a_hint_unless_a_fault_struck_it_as_well() -> None:
    kept = run(after={**BETWEEN, "state-journal": entry("pages")}, ending=Exited(status=1), stderr=b"failed\n")
    assert only(kept).standing is Standing.HINT and "state-journal is kept beside it" in only(kept).message
    copied = {"out": entry("whole"), "state.bak": BEFORE["state"]}
    clean = replace(CLEAN, after={**copied, "state": entry("new")})
    backed_up = only(replace(kept, after=copied, baseline=clean))
    assert backed_up.standing is Standing.HINT and "state.bak is kept beside it" in backed_up.message
    half = replace(kept, strikes=(strike(path=f"{FOLDER}/state-journal"),))
    assert findings(half) == ["wrong-state"]
    assert findings(replace(kept, stderr=b"")) == ["wrong-state"]


def test_a_file_that_is_only_appended_to_keeps_its_old_content() -> None:
    half = run(after={"state": entry("old, n"), "out": entry("whole")}, ending=Exited(status=1), stderr=b"failed\n")
    assert findings(half) == ["wrong-state"]
    assert findings(replace(half, baseline=replace(CLEAN, appended=frozenset({"state"})))) == []
    shorter = replace(half, after={"state": entry("o"), "out": entry("whole")})
    assert findings(replace(shorter, baseline=replace(CLEAN, appended=frozenset({"state"})))) == ["wrong-state"]


def test_a_shortage_that_lasts_is_told_at_what_mattered_and_not_at_what_was_done_without() -> None:
    settings = strike(
        "openat", errno.EMFILE, "/etc/tool.conf", site="1", stack=(LIBC, replace(OWN, function="settings"), MAIN)
    )
    terminal = strike("openat", errno.EMFILE, "/lib/terminfo/x", site="2", stack=(LIBC, MAIN))
    mattered = strike("openat", errno.EMFILE, f"{FOLDER}/in.txt")
    early, late = only(run(settings, terminal, mattered, after=SHORT)), only(run(mattered, after=SHORT))
    assert early.identity("t") == late.identity("t") and early.frame == OWN
    assert only(run(settings, terminal, after=SHORT)).place != late.place


def test_words_on_an_otherwise_silent_stdout_are_no_loss_where_files_are_what_is_made() -> None:
    clean = replace(CLEAN, stdout=b"")
    talks = replace(run(stdout=b"out is read-only; trying anyway\n"), baseline=clean)
    assert only(talks).standing is Standing.BENIGN
    assert findings(replace(talks, after=SHORT)) == ["silent-success"]
    prints = replace(clean, after=BEFORE)
    assert findings(replace(talks, baseline=prints, after=BEFORE)) == ["silent-success"]


def test_before_and_after_are_both_right_after_a_failure() -> None:
    assert findings(run(after=BEFORE, ending=Exited(status=1))) == []
    assert findings(run(after={**BEFORE, "out": entry("wh")}, ending=Exited(status=1))) == []  # is new, may be half
    renamed = replace(CLEAN, after={"state": entry("new")})
    assert findings(replace(run(after={"state": entry("new")}, ending=Exited(status=1)), baseline=renamed)) == []
    rights = {"state": replace(entry("old"), mode=0o600)}
    assert findings(run(after=rights, ending=Exited(status=1))) == []


def test_streams_were_emptied_by_the_shell_and_not_by_the_program() -> None:
    outcome = run(after=BETWEEN, ending=Exited(status=1))
    assert findings(replace(outcome, scene=replace(SCENE, stdout="state"))) == []


@pytest.mark.parametrize(
    ("stall", "kind"),
    [(Stall.DEADLOCK, "deadlock"), (Stall.LIVELOCK, "livelock"), (Stall.BUSY, "hang"), (Stall.WAITING, "hang")],
)
def test_a_run_that_does_not_end(stall: Stall, kind: str) -> None:
    stuck = run(ending=TimedOut(limit="wall", stall=stall), after=BETWEEN, stall_stack=(LIBC, OWN, MAIN))
    assert findings(stuck) == [kind]
    assert only(stuck).place == (("save+0x20", "main+0x10") if kind == "livelock" else ("save",))
    assert findings(replace(stuck, baseline=replace(CLEAN, ending=stuck.ending))) == []


def test_a_fault_that_strikes_for_ever_is_a_livelock_however_it_looks() -> None:
    stuck = run(*[strike()] * 200, ending=TimedOut(limit="wall", stall=Stall.WAITING))
    assert findings(stuck) == ["livelock"]
    assert findings(replace(stuck, strikes=stuck.strikes[:3])) == ["hang"]


def test_a_crash_is_the_finding_and_not_also_what_it_left_behind() -> None:
    assert findings(run(ending=Killed(signal=11), after=SHORT)) == ["signal-SIGSEGV"]


def test_privileges_that_were_kept() -> None:
    fault = strike("setresuid", errno.EAGAIN, None, stack=(LIBC, OWN, MAIN))
    assert findings(run(fault)) == ["privilege"]
    assert findings(run(fault, stderr=b"warning\n")) == ["privilege"]
    assert findings(run(fault, ending=Exited(status=1))) == []


def test_randomness_matters_where_the_result_depends_on_it() -> None:
    direct = strike("getrandom", errno.ENOSYS, None, stack=(LIBC, OWN, MAIN))
    assert only(run(direct)).standing is Standing.HINT
    assert findings(run(direct, unstable=frozenset({"out"}))) == ["privilege"]
    inner = Frame(module="/lib/libc.so.6", offset=9, function="tcache_key_initialize")
    assert guards.judge(run(strike("getrandom", errno.ENOSYS, None, stack=(inner, inner, OWN)))) == ()


def test_without_a_fault_or_a_clean_run_nothing_is_said() -> None:
    assert guards.judge(replace(run(after=SHORT), strikes=())) == ()
    assert guards.judge(replace(run(after=SHORT), baseline=None)) == ()


@pytest.mark.parametrize(("fd", "kinds"), [(1, []), (7, ["signal-SIGPIPE"])])
def test_a_filter_may_end_by_sigpipe_where_its_reader_went_and_nowhere_else(fd: int, kinds: list[str]) -> None:
    broken = strike(number=errno.EPIPE, path="pipe:[7]", fd=fd)
    assert findings(run(broken, ending=Killed(signal=Signals.SIGPIPE))) == kinds
    assert findings(run(strike(fd=1), ending=Killed(signal=Signals.SIGPIPE))) == ["signal-SIGPIPE"]  # of its own making


def test_a_short_count_has_a_name_of_its_own() -> None:
    outcome = run(replace(strike("read"), errno=None, effect="partial"), stdout=b"")
    assert only(outcome).message == "read short: exit 0 and nothing on stderr, but stdout is empty instead of 5 bytes"
