"""Sweeps of real programs: bad ones beside their fixed twins, and Debian's own commands with what is known of them."""

import os
import shutil
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from firedamp import guards
from firedamp.engine import Attempt, Job, Progress
from firedamp.errors import UsageError
from firedamp.finding import Detection, Standing
from firedamp.outcome import Exited
from firedamp.reproducer import Reproducer
from firedamp.target import InputMode, Limits, Target, TargetKind
from inject import ENGINE
from inject.policy import parse
from inject.single import run_once

pytestmark = [pytest.mark.needs("ptrace"), pytest.mark.needs("seccomp")]

ERRORS = Path(__file__).parents[1] / "targets" / "errors"
LINES = "".join(f"{number}\n" for number in range(1, 2001))


@dataclass(slots=True)
class Swept:
    progress: Progress = field(default_factory=Progress)
    attempts: list[Attempt] = field(default_factory=list)
    judged: list[tuple[Detection, Attempt]] = field(default_factory=list)

    def kinds(self, standing: Standing = Standing.FINDING) -> set[str]:
        return {detection.kind for detection, _ in self.judged if detection.standing is standing}

    def first(self, kind: str) -> tuple[Detection, Attempt]:
        return next(pair for pair in self.judged if pair[0].kind == kind and pair[0].standing is Standing.FINDING)

    def findings(self) -> str:
        return "\n".join(each.message for each, _ in self.judged if each.standing is Standing.FINDING)


def target(folder: Path, *argv: str, **facts: object) -> Target:
    (folder / "in.txt").write_text(LINES)
    given: dict[str, object] = {"input": InputMode.NONE, **facts}
    return Target(name="tool", kind=TargetKind.COMMAND, root=folder, command=argv, **given)  # type: ignore[arg-type]


def sweep(
    swept_target: Target,
    *syscalls: str,
    errnos: tuple[str, ...] = (),
    workers: int = 1,
    malloc: bool | None = False,
    **facts: object,
) -> Swept:
    swept = Swept()
    job = Job(
        target=swept_target,
        results=swept_target.root / "results",
        workers=workers,
        options={"syscalls": syscalls, "errnos": errnos, "malloc": malloc},
        **facts,  # type: ignore[arg-type]
    )
    for attempt in ENGINE.search(job, swept.progress):
        swept.attempts.append(attempt)
        swept.judged.extend((detection, attempt) for detection in guards.judge(attempt.outcome))
    return swept


@pytest.fixture(scope="module")
def programs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """tests/targets/errors, each as NAME and as NAME.fixed."""
    if shutil.which("gcc") is None:
        pytest.skip("needs gcc")
    folder = tmp_path_factory.mktemp("errors")
    for source in ERRORS.glob("*.c"):
        for suffix, flags in (("", ()), (".fixed", ("-DFIXED",))):
            output = folder / (source.stem + suffix)
            subprocess.run(["gcc", "-O1", "-g", "-pthread", *flags, "-o", output, source], check=True)
    return folder


@pytest.mark.parametrize(
    ("name", "kind", "function", "syscalls"),
    [
        ("unchecked_write", "silent-success", "save", ("write",)),
        ("short_read", "silent-success", "load", ("read",)),
        ("short_write", "silent-success", "save", ("write",)),
        ("broken_pipe", "signal-SIGPIPE", "ask", ("write", "sendto")),
        ("interrupted_read", "silent-success", "collect", ("read",)),
        ("swallowed_read", "swallowed-error", "main", ("read",)),
        ("rewrite_in_place", "wrong-state", "main", ("write", "fsync", "open", "rename", "unlink")),
        ("ignored_setuid", "privilege", "main", ("setuid",)),
        ("unchecked_malloc", "segv-null", "main", ("brk", "mmap")),
        ("unchecked_malloc", "segv-null", "main", ("malloc",)),
        ("unchecked_small_malloc", "segv-null", "main", ("malloc",)),
        ("half_built", "silent-success", "main", ("malloc",)),
        ("double_free_cleanup", "heap-corruption", "main", ("malloc",)),
        ("endless_retry", "livelock", "main", ("read",)),
        ("endless_write", "livelock", "main", ("write",)),
        ("deadlock_lock", "deadlock", "load", ("open",)),
        ("deadlock_flock", "deadlock", "load", ("open",)),
        ("fd_leak_second_open", "fd-leak", "join", ("open", "write")),
        ("fd_leak_loop", "fd-leak", "main", ("read",)),
        ("close_retried", "double-close", "release", ("close",)),
        ("closed_in_both_paths", "double-close", "main", ("write",)),
        ("use_of_failed_open", "stale-descriptor", "note", ("open", "write")),
        ("use_after_close", "stale-descriptor", "main", ("write", "fsync")),
        ("temp_left", "leftover-file", "main", ("write", "close", "unlink")),
        ("lock_file_left", "leftover-file", "main", ("open", "read", "close")),
    ],
)
def test_a_bad_program_is_found_and_its_twin_is_not(
    programs: Path, tmp_path: Path, name: str, kind: str, function: str, syscalls: tuple[str, ...]
) -> None:
    (tmp_path / "state.txt").write_text("old\n")
    errnos = ("EIO",) if kind in ("livelock", "deadlock") else ()  # each costs its two seconds
    bad = sweep(target(tmp_path, str(programs / name)), *syscalls, errnos=errnos)
    assert bad.kinds() == {kind}, bad.findings()
    detection, attempt = bad.first(kind)
    assert detection.frame is not None and detection.frame.function == function
    assert detection.frame.file == str(ERRORS / f"{name}.c")
    assert kind in {each.kind for each in guards.judge(ENGINE.replay(attempt.reproducer, None))}
    good = sweep(target(tmp_path, str(programs / f"{name}.fixed")), *syscalls)
    assert good.progress.done > 0 and good.progress.complete
    assert good.kinds() == set(), good.findings()


def test_a_file_that_is_emptied_too_early_is_one_finding_however_it_goes_on(programs: Path, tmp_path: Path) -> None:
    (tmp_path / "state.txt").write_text("old\n")
    swept = sweep(target(tmp_path, str(programs / "rewrite_in_place")))
    found = [(each, attempt) for each, attempt in swept.judged if each.kind == "wrong-state"]
    assert len({attempt.outcome.strikes[0].site for _, attempt in found}) == 2  # of write
    assert len({each.identity("tool") for each, _ in found}) == 1


def test_replays_during_a_sweep_share_its_clean_runs_and_later_ones_have_their_own(
    programs: Path, tmp_path: Path
) -> None:
    """The set-up runs once for each bench."""
    count = tmp_path / "count"
    command = target(tmp_path, str(programs / "unchecked_write"), setup=f"echo >> {count}")
    job = Job(target=command, results=tmp_path / "results", options={"syscalls": ("write",)})
    benches = []
    attempts = ENGINE.search(job, Progress())
    for attempt in attempts:
        for _ in range(3):
            outcome = ENGINE.replay(attempt.reproducer, None)
            assert {each.kind for each in guards.judge(outcome)} == {
                each.kind for each in guards.judge(attempt.outcome)
            }
        benches.append(len(count.read_text()))
    assert len(benches) > 1 and set(benches) == {2}  # the sweep's own, and one for all replays
    ENGINE.replay(attempt.reproducer, None)
    assert len(count.read_text()) == 3


def test_a_short_count_says_how_short_and_of_a_file_it_is_the_last_write(programs: Path, tmp_path: Path) -> None:
    swept = sweep(target(tmp_path, str(programs / "short_write")), "write", errnos=("SHORT",))
    assert swept.findings().splitlines() == [
        "write short: exit 0 and nothing on stderr, but out.txt has 4 of 9 bytes",
        "write short: exit 0 and nothing on stderr, but stdout has 3 of 6 bytes",
    ]
    fixed = sweep(target(tmp_path, str(programs / "short_write.fixed")), "write", errnos=("SHORT",))
    reported, *retried = (attempt.outcome for attempt in fixed.attempts)
    assert b"No space left" in reported.stderr and all(each.stdout == b"saved\n" for each in retried)


def test_who_is_restarted_is_not_interrupted_and_nobody_is_for_ever(programs: Path, tmp_path: Path) -> None:
    bad = sweep(target(tmp_path, str(programs / "interrupted_read")), "read", errnos=("EINTR",))
    assert bad.kinds() == {"silent-success"}
    good = sweep(target(tmp_path, str(programs / "interrupted_read.fixed")), "read", errnos=("EINTR",))
    assert good.progress.planned == 0


def test_memory_is_tried_when_it_is_asked_for(programs: Path, tmp_path: Path) -> None:
    command = target(tmp_path, str(programs / "unchecked_small_malloc"))
    both = sweep(command, malloc=True)
    assert both.kinds() == {"segv-null"} and both.progress.complete
    assert {attempt.outcome.strikes[0].syscall for attempt in both.attempts} >= {"brk", "malloc"}
    assert not sweep(command, malloc=False).kinds()  # the heap has room: no system call is made for it


@pytest.mark.parametrize("fixed", [False, True])
def test_of_a_static_program_the_c_library_is_no_part(tmp_path: Path, fixed: bool) -> None:
    source = """#include <stdio.h>
static int finish(void) { return %s; }
int main(void) { setvbuf(stdout, NULL, _IOFBF, 100); puts("hello"); return finish(); }
"""
    finish = 'fclose(stdout) ? perror("stdout"), 1 : 0' if fixed else "fflush(stdout), 0"
    compile_it = ["gcc", "-g", "-w", "-static", "-x", "c", "-", "-o", tmp_path / "program"]
    subprocess.run(compile_it, input=(source % finish).encode(), check=True)
    swept = sweep(target(tmp_path, "./program"), "write", "brk", "mmap", errnos=("EIO", "ENOMEM"))
    places = {detection.place[0].partition("+")[0] for detection, _ in swept.judged}
    assert places == (set() if fixed else {"finish"}), swept.findings()
    assert swept.progress.skips["start-up of the dynamic loader"] > 0


GUESSABLE = "srand(time(0) ^ getpid()); for (int i = 0; i < 16; i++) bytes[i] = rand();"
OTHER_SOURCE = """int fd = open("/dev/urandom", O_RDONLY);
    if (fd < 0 || read(fd, bytes, 16) != 16) { perror("/dev/urandom"); return 1; }"""


@pytest.mark.parametrize(("fallback", "standing"), [(GUESSABLE, Standing.FINDING), (OTHER_SOURCE, Standing.HINT)])
def test_who_has_another_source_of_randomness_needs_no_refused_one(
    tmp_path: Path, fallback: str, standing: Standing
) -> None:
    source = """#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>
int main(void) {
    unsigned char bytes[16];
    if (getrandom(bytes, 16, 0) != 16) { %s }
    return write(1, bytes, 16) != 16;
}
"""
    compile_it = ["gcc", "-g", "-w", "-x", "c", "-", "-o", tmp_path / "program"]
    subprocess.run(compile_it, input=(source % fallback).encode(), check=True)
    swept = sweep(target(tmp_path, "./program"), "getrandom")
    assert {(each.kind, each.standing) for each, _ in swept.judged} == {("privilege", standing)}


def test_an_ignored_sync_before_a_rename_is_a_hint(tmp_path: Path) -> None:
    source = """#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>
int main(void) {
    int fd = open("new", O_WRONLY | O_CREAT | O_TRUNC, 0644);
    if (fd < 0 || write(fd, "data", 4) != 4) return 1;
    fsync(fd);
    return close(fd) || rename("new", "kept");
}
"""
    compile_it = ["gcc", "-g", "-w", "-x", "c", "-", "-o", tmp_path / "program"]
    subprocess.run(compile_it, input=source.encode(), check=True)
    swept = sweep(target(tmp_path, "./program"), "fsync")
    assert (swept.kinds(), swept.kinds(Standing.HINT)) == (set(), {"silent-success"})


def test_what_a_program_allocates_itself_is_tried_unasked(programs: Path, tmp_path: Path) -> None:
    bad = sweep(target(tmp_path, str(programs / "unchecked_small_malloc")), malloc=None)
    assert bad.kinds() == {"segv-null"} and bad.progress.complete, (bad.progress.notes, bad.progress.skips)
    good = sweep(target(tmp_path, str(programs / "unchecked_small_malloc.fixed")), malloc=None)
    assert good.kinds() == set() and "malloc" in {attempt.outcome.strikes[0].syscall for attempt in good.attempts}
    assert good.progress.skips["allocations that wait for --malloc"] > 0  # from there on, above all


@pytest.mark.parametrize(
    ("main", "flags", "reason"),
    [
        ('return write(1, "", 0)', (), "the program has none"),
        ("return malloc(10) == 0", ("-static",), "the program has none"),
        (
            "char *block = malloc(9); free(block); return *(volatile char *)block == 1",
            (),
            "killed by signal 11: it may use memory that",
        ),
        ('return puts(getenv("GLIBC_TUNABLES") ? "tuned" : "plain") < 0', (), "stdout is another"),
    ],
)
def test_why_no_memory_is_tried_is_said(tmp_path: Path, main: str, flags: tuple[str, ...], reason: str) -> None:
    if shutil.which("gcc") is None:
        pytest.skip("needs gcc")
    source = f"#include <stdio.h>\n#include <stdlib.h>\n#include <unistd.h>\nint main(void) {{ {main}; }}\n"
    compile_it = ["gcc", "-w", *flags, "-x", "c", "-", "-o", tmp_path / "program"]
    subprocess.run(compile_it, input=source.encode(), check=True)
    swept = sweep(target(tmp_path, "./program"), "malloc")
    assert swept.progress.planned == 0 and any(reason in note for note in swept.progress.notes), swept.progress.notes


def test_who_backs_off_gives_up_and_who_sleeps_for_ever_does_not(programs: Path, tmp_path: Path) -> None:
    """Both are still asleep when time is up."""
    bad = sweep(target(tmp_path, str(programs / "fork_for_ever")), "clone", errnos=("EAGAIN",))
    assert bad.kinds() == {"livelock"}, bad.findings()
    good = sweep(target(tmp_path, str(programs / "fork_for_ever.fixed")), "clone", errnos=("EAGAIN",))
    assert good.progress.done == 2 and good.kinds() == set(), good.findings()


def test_a_message_about_another_error_is_a_hint(programs: Path, tmp_path: Path) -> None:
    for name, hints in (("errno_clobbered", {"wrong-message"}), ("errno_clobbered.fixed", set())):
        swept = sweep(target(tmp_path, str(programs / name)), "read", "open", errnos=("EIO",))
        assert swept.progress.done > 0
        assert (swept.kinds(), swept.kinds(Standing.HINT)) == (set(), hints)


def test_an_ignored_close_is_a_hint(programs: Path, tmp_path: Path) -> None:
    bad = sweep(target(tmp_path, str(programs / "ignored_close")), "close", "write")
    assert (bad.kinds(), bad.kinds(Standing.HINT)) == (set(), {"silent-success"})
    good = sweep(target(tmp_path, str(programs / "ignored_close.fixed")), "close", "write")
    assert good.progress.done > 0 and not good.judged


@pytest.mark.skipif(os.getuid() != 0, reason="needs uid 0, which has a name everywhere")
def test_a_lookup_with_a_fall_back_is_benign(programs: Path, tmp_path: Path) -> None:
    swept = sweep(target(tmp_path, str(programs / "lookup_fallback")), "openat", "read")
    assert swept.kinds() == set(), swept.findings()
    assert swept.kinds(Standing.BENIGN) == {"silent-success"}


def test_the_reproducer_is_a_policy_for_a_person_and_replays_alone(programs: Path, tmp_path: Path) -> None:
    swept = sweep(target(tmp_path, str(programs / "unchecked_write")), "write")
    detection, attempt = swept.first("silent-success")
    text = attempt.reproducer.payload.decode()
    assert text.startswith("# firedamp policy 1\n") and "save in unchecked_write+0x" in text
    assert "unchecked_write.c:" in text and len(parse(text).rules) == 1
    outcome = ENGINE.replay(attempt.reproducer, None)
    assert detection.identity("tool") in {each.identity("tool") for each in guards.judge(outcome)}
    assert outcome.baseline is not None and outcome.baseline.ending == Exited(status=0)
    harmless = Reproducer(engine="inject", target=attempt.reproducer.target, payload=b"# firedamp policy 1\n")
    assert guards.judge(ENGINE.replay(harmless, None)) == ()


def test_what_is_counted_adds_up_and_the_users_files_stay(tmp_path: Path) -> None:
    swept = sweep(target(tmp_path, "cp", "in.txt", "out.txt"))
    progress = swept.progress
    assert progress.complete and progress.sites >= 5 and progress.skips["start-up of the dynamic loader"] > 10
    assert progress.executions == progress.done == len(swept.attempts)
    assert progress.planned == progress.done + sum(progress.skips.values()) and progress.left == 0
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in.txt", "results"]
    assert (tmp_path / "in.txt").read_text() == LINES
    assert all(attempt.outcome.strikes for attempt in swept.attempts)


def test_two_workers_find_what_one_finds(programs: Path, tmp_path: Path) -> None:
    command = target(tmp_path, "cat", "in.txt", "in.txt", "in.txt", stdout="out.txt")
    found = [{attempt.reproducer.payload for attempt in sweep(command, workers=workers).attempts} for workers in (1, 2)]
    assert found[0] == found[1] and len(found[0]) > 50


def test_a_bounded_sweep_says_that_it_is_not_complete(tmp_path: Path) -> None:
    command = target(tmp_path, "cat", "in.txt")
    few = sweep(command, runs=3)
    assert few.progress.done == 3 and few.progress.planned > 3 and not few.progress.complete
    stopped = sweep(command, stopping=lambda: True)
    assert stopped.progress.done == 0 and not stopped.progress.complete


@pytest.mark.needs("gcc")
def test_what_looks_wrong_is_run_again_within_the_number_of_runs(programs: Path, tmp_path: Path) -> None:
    few = sweep(target(tmp_path, str(programs / "unchecked_write")), "write", "open", runs=6)
    assert few.progress.executions == 6 and few.progress.done >= 3 and few.kinds()


@pytest.mark.needs("gcc")
def test_calls_that_are_not_seen_are_said(tmp_path: Path) -> None:
    source = 'int main(void) { long r; __asm__ volatile("int $0x80" : "=a"(r) : "a"(20L)); return 0; }\n'
    subprocess.run(["gcc", "-x", "c", "-o", tmp_path / "old", "-"], input=source, text=True, check=True)
    swept = sweep(target(tmp_path, "./old"), "write")
    assert any("int 0x80" in note for note in swept.progress.notes), swept.progress.notes
    private = target(tmp_path, "./old", workdir=tmp_path)
    run = run_once(private, (("-e", "write: true then deny[eio]"),), in_place=False)
    assert any("int 0x80" in note for note in run.notes)


def test_a_vacuous_sweep_says_so(tmp_path: Path) -> None:
    swept = sweep(target(tmp_path, "true"), "fsync")
    assert swept.progress.complete and swept.progress.sites == 0
    assert any("nothing could be made to fail" in note for note in swept.progress.notes)


def test_output_with_time_and_chance_in_it_is_not_judged(tmp_path: Path) -> None:
    script = "mktemp -u; date +%s.%N > stamp; cat in.txt > copy || exit 1"
    swept = sweep(target(tmp_path, "sh", "-c", script), "read", "close")
    assert swept.kinds() == set(), swept.findings()
    assert any("stamp" in note and "stdout" in note for note in swept.progress.notes)


def test_what_our_confinement_refuses_is_reported_as_ours(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    inside = tmp_path / "inside"
    outside.mkdir()
    inside.mkdir()
    swept = sweep(target(inside, "sh", "-c", f"echo x > {outside}/file; cat in.txt"), "read")
    (refusal,) = swept.attempts[0].outcome.refusals
    assert (refusal.syscall, refusal.path) == ("openat", f"{outside}/file") and not list(outside.iterdir())
    assert any("our own confinement" in note for note in swept.progress.notes)


def test_a_program_that_does_not_end_by_itself_is_refused(tmp_path: Path) -> None:
    sleeping = target(tmp_path, "sleep", "60", limits=Limits(wall_s=0.3))
    with pytest.raises(UsageError, match="does not end within"):
        sweep(sleeping)
    with pytest.raises(UsageError, match="did you mean"):
        sweep(target(tmp_path, "true"), "wriet")


def test_one_run_in_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> None:
    cat = target(tmp_path, "cat", "in.txt")
    monkeypatch.chdir(tmp_path)
    no_copy = ("-e", "inject=copy_file_range:error=ENOSYS")
    outcome = run_once(target(tmp_path, "cp", "in.txt", "copy"), (no_copy,), in_place=True).outcome
    assert outcome.ending == Exited(status=0) and (tmp_path / "copy").read_text() == LINES
    fault = ("my.policy", 'read: path sub "/in.txt" then deny[eio] once')
    run = run_once(cat, (no_copy, fault, ("-e", "fsync: true then deny[eio]")), in_place=True)
    outcome, policy, notes = run.outcome, run.policy, run.notes
    said = capfd.readouterr()
    assert outcome.ending == Exited(status=1) and "Input/output error" in said.err and said.out == ""
    assert "read" in {strike.stack[0].function for strike in outcome.strikes}
    assert len(parse(policy).rules) == 3 and any("rule 3 never fired: fsync" in note for note in notes)


def test_one_run_in_a_private_copy_has_our_streams_or_the_named_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    nothing = (("-e", "fsync: true then deny[eio]"),)
    named = target(tmp_path, "sh", "-c", "head -n 2; echo said >&2; touch new", stdin="in.txt", stdout="out.txt")
    run_once(named, nothing, in_place=False)
    assert capfd.readouterr() == ("", "said\n") and not (tmp_path / "new").exists()
    run_once(target(tmp_path, "head", "-n", "1", "in.txt"), nothing, in_place=False)
    assert capfd.readouterr().out == "1\n"


BAD = [
    ("openssl", "openssl dgst -sha256 -out out.txt in.txt", None, "write", "silent-success"),
    ("msgfmt", "msgfmt -o out.mo in.po", None, "write", "silent-success"),
    ("busybox", "busybox sort -r -o out.txt in.txt", None, "write", "silent-success"),
    ("perl", "perl -ne print in.txt", "out.txt", "write", "silent-success"),
    ("lua5.4", "lua5.4 -e print(1)", "out.txt", "write", "silent-success"),
    ("hexdump", "hexdump -C in.txt", "out.txt", "read", "swallowed-error"),
    ("dash", "dash script.sh", None, "write", "swallowed-error"),
]
QUICK = ("perl", "busybox", "dash")
SOUND = [
    "cat in.txt", "cp in.txt out.txt", "tee out.txt", "dd if=in.txt of=out.txt bs=512", "split -l 300 in.txt",
    "sha256sum in.txt", "gzip -n in.txt", "gunzip in.gz", "sed s/1/2/ in.txt", "sed -i s/1/2/ in.txt", "grep 1 in.txt",
    "m4 in.txt", "ls -l",
]  # fmt: skip
PO = 'msgid ""\nmsgstr "Content-Type: text/plain; charset=UTF-8\\n"\n\nmsgid "a"\nmsgstr "b"\n'
CALLS = ("read", "write", "open", "close", "fsync", "rename", "copy_file_range", "getdents", "unlink")


@pytest.mark.parametrize(
    ("tool", "command", "stdout", "syscall", "kind"),
    [pytest.param(*row, id=row[0], marks=() if row[0] in QUICK else pytest.mark.slow) for row in BAD],
)
def test_known_bad_commands(
    tmp_path: Path, tool: str, command: str, stdout: str | None, syscall: str, kind: str
) -> None:
    if shutil.which(tool) is None:
        pytest.skip(f"needs {tool}")
    (tmp_path / "in.po").write_text(PO)
    (tmp_path / "script.sh").write_text("echo hello > out.txt; exit 0\n")
    swept = sweep(target(tmp_path, *command.split(), stdout=stdout), syscall)
    assert kind in swept.kinds(), swept.progress


@pytest.mark.slow
@pytest.mark.parametrize("command", SOUND)
def test_sound_commands_have_no_finding(tmp_path: Path, command: str) -> None:
    tool = command.split()[0]
    if shutil.which(tool) is None:
        pytest.skip(f"needs {tool}")
    (tmp_path / "in.txt").write_text(LINES)
    subprocess.run(["gzip", "-nk", "in.txt"], cwd=tmp_path, check=True)
    (tmp_path / "in.txt.gz").rename(tmp_path / "in.gz")
    stdin = "in.txt" if tool == "tee" else None
    swept = sweep(target(tmp_path, *command.split(), stdin=stdin), *CALLS, workers=2)
    assert swept.progress.done > 10 and swept.progress.complete
    assert swept.kinds() == set(), swept.findings()
