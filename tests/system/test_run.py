"""The bench: how an input gets in, what a program sees around it, and that each run starts from the same bytes."""

import contextlib
import os
import signal
import time
from pathlib import Path

import pytest

from firedamp.errors import UsageError
from firedamp.naming import resolve_stack
from firedamp.outcome import Exited, Frame, Outcome
from firedamp.run import Bench, Streams, argument, clean_environment
from firedamp.target import InputMode, Target, TargetKind

pytestmark = pytest.mark.needs("ptrace")


def command(root: Path, *argv: str, **facts: object) -> Target:
    settings: dict[str, object] = {"input": InputMode.NONE, **facts}
    return Target(name="tool", kind=TargetKind.COMMAND, root=root, command=argv, **settings)  # type: ignore[arg-type]


def feed(root: Path, mode: InputMode, data: bytes, *argv: str) -> Outcome:
    with Bench(command(root, *argv, input=mode), None) as bench:
        return bench.run_input(data)


def test_an_input_goes_in_by_standard_input(tmp_path: Path) -> None:
    assert feed(tmp_path, InputMode.STDIN, b"a\0b\xff", "cat").stdout == b"a\0b\xff"


def test_an_input_goes_in_by_a_file_that_the_program_may_write_but_does_not_list(tmp_path: Path) -> None:
    script = 'cat "$1"; echo more >> "$1" && ls -A'
    outcome = feed(tmp_path, InputMode.FILE, b"x\n", "sh", "-c", script, "sh", "@@")
    assert (outcome.ending, outcome.stdout) == (Exited(status=0), b"x\n")


def test_an_input_goes_in_by_an_argument_up_to_its_first_nul(tmp_path: Path) -> None:
    assert feed(tmp_path, InputMode.ARGV, b"\xffa\0b", "printf", "%s", "<@@>").stdout == b"<\xffa>"
    assert len(argument(b"A" * 200_000)) == 131_071


def test_an_input_without_a_way_in_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="@@"):
        feed(tmp_path, InputMode.FILE, b"x", "cat", "file")


def test_every_run_starts_from_the_same_bytes_and_the_users_files_stay(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("first\n")
    with Bench(command(tmp_path, "sh", "-c", "cat a; echo second > a; touch b"), None) as bench:
        outcomes = [bench.run_command(snapshot=True)[0] for _ in range(2)]
    assert [outcome.stdout for outcome in outcomes] == [b"first\n"] * 2
    assert sorted(outcomes[0].before) == ["a"] and sorted(outcomes[0].after) == ["a", "b"]
    assert outcomes[0].before["a"].digest != outcomes[0].after["a"].digest
    assert [path.name for path in tmp_path.iterdir()] == ["a"] and (tmp_path / "a").read_text() == "first\n"


def test_setup_makes_the_first_state_once_and_check_looks_at_the_last(tmp_path: Path) -> None:
    target = command(tmp_path, "cp", "a", "b", setup="seq 3 > a; echo x >> made", check="cmp a b")
    with Bench(target, None) as bench:
        first, second = (bench.run_command(snapshot=True)[0] for _ in range(2))
    assert (first.check_status, second.check_status) == (0, 0)
    assert first.before == second.before and set(first.before) == {"a", "made"}
    with Bench(command(tmp_path, "true", setup="seq 3 > a", check="cmp a b"), None) as bench:
        assert bench.run_command()[0].check_status not in (0, None)


def test_a_setup_that_fails_is_the_users_mistake(tmp_path: Path) -> None:
    with (
        Bench(command(tmp_path, "true", setup="echo no such thing >&2; exit 4"), None) as bench,
        pytest.raises(UsageError, match=r"status 4.*no such thing"),
    ):
        bench.run_command()


def test_nothing_of_a_setup_outlives_it(tmp_path: Path) -> None:
    target = command(tmp_path, "true", setup="sleep 300 & echo $! > pid")
    with Bench(target, None) as bench:
        bench.run_command()
        left = int((bench.room.path / "pid").read_text())
        try:
            assert any(is_dead(left) or time.sleep(0.05) for _ in range(1000))
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.kill(left, signal.SIGKILL)


def is_dead(pid: int) -> bool:
    try:
        return b") Z" in Path(f"/proc/{pid}/stat").read_bytes()
    except FileNotFoundError:
        return True


def test_a_program_may_call_itself_anything(tmp_path: Path) -> None:
    """/proc/PID/status and maps hold names of any bytes."""
    rename = r"printf '\377\n\376' > /proc/self/comm; sleep 0.3"
    with Bench(command(tmp_path, "sh", "-c", rename), None) as bench:
        assert bench.run_command()[0].ending == Exited(status=0)


def test_streams_are_files_of_the_private_folder(tmp_path: Path) -> None:
    (tmp_path / "in").write_text("text")
    target = command(tmp_path, "sh", "-c", "cat; echo said >&2", stdin="in", stdout="out")
    with Bench(target, None) as bench:
        outcome, report = bench.run_command(snapshot=True)
        assert (bench.room.path / "out").read_text() == "text"
        outcome_with_file, _ = bench.run_command(streams=Streams(stdin="in"))
    assert (outcome.stderr, report) == (b"said\n", None)
    assert outcome.after["out"].size == 4
    assert outcome_with_file.stdout == b"text"


def test_a_program_does_not_see_what_belongs_to_us(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LD_PRELOAD", "")
    monkeypatch.setenv("ASAN_OPTIONS", "verbosity=1")
    monkeypatch.setenv("MINE", "kept")
    with Bench(command(tmp_path, "env"), None) as bench:
        seen = dict(line.split("=", 1) for line in bench.run_command()[0].stdout.decode().splitlines())
        assert seen["TMPDIR"] == str(bench.room.tmp)
    assert seen["MINE"] == "kept" and seen["LC_ALL"] == "C"
    assert not {"LD_PRELOAD", "ASAN_OPTIONS", "PYTEST_CURRENT_TEST", "LANG"} & set(seen)


def test_noise_is_named_exactly() -> None:
    assert clean_environment({"LANGUAGE": "de", "PATH": "/bin", "TEMPLATE": "t"}) == {
        "PATH": "/bin",
        "TEMPLATE": "t",
        "LC_ALL": "C",
    }


@pytest.mark.needs("landlock")
def test_nothing_outside_can_be_written(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    room = tmp_path / "room"
    room.mkdir()
    with Bench(command(room, "sh", "-c", f"echo x > {outside}"), None) as bench:
        outcome, _ = bench.run_command()
    assert outcome.ending != Exited(status=0)
    assert not outside.exists()


def test_frames_below_the_harness_and_of_our_runtime_are_not_the_targets() -> None:
    frames = tuple(
        Frame(module="/nowhere", offset=offset, function=function, own=True)
        for offset, function in enumerate(["firedamp_read", "parse", "LLVMFuzzerTestOneInput", "main"])
    )
    assert [frame.own for frame in resolve_stack(frames)] == [False, True, True, False]
