"""The suite that measures us is well-formed, and its simplest peer works: it finds a bug and is silent on the twin."""

import re
import shutil
import subprocess
import tomllib
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

BENCH = Path(__file__).parents[1] / "bench"
ERRORS = BENCH / "errors"
TABLES = tomllib.loads((ERRORS / "suite.toml").read_text())


@pytest.fixture
def peers(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(BENCH)
    import peers  # type: ignore[import-not-found]

    return peers


@pytest.fixture
def head_to_head(peers: ModuleType) -> ModuleType:
    import head_to_head  # type: ignore[import-not-found]

    return head_to_head


def test_each_program_has_a_table_and_each_table_a_program(head_to_head: ModuleType) -> None:
    assert set(head_to_head.suite()) == {path.stem for path in ERRORS.glob("*.c")}


@pytest.mark.parametrize("name", TABLES)
def test_a_table_names_what_its_program_has(name: str) -> None:
    source = (ERRORS / f"{name}.c").read_text()
    assert "FIXED" in source, "there is no twin"
    for function in TABLES[name]["functions"]:
        assert re.search(rf"^\w.*\b{function}\(", source, re.MULTILINE), function
    assert "{program}" in TABLES[name]["provoke"]


def test_a_third_of_the_suite_needs_depth() -> None:
    assert sum("depth" in table for table in TABLES.values()) * 3 >= len(TABLES)


def after_its_error(program: Any, case: Any, folder: Path) -> tuple[int, str, str, set[str]]:
    shutil.copytree(case.folder, folder)
    command = ["sh", "-c", program.provoke.replace("{program}", str(case.binary))]
    ended = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=250, check=False)
    files = {f"{path.relative_to(folder)} {path.stat().st_size}" for path in folder.rglob("*")}
    shutil.rmtree(folder)
    return ended.returncode, ended.stdout, ended.stderr, files


@pytest.mark.slow
@pytest.mark.needs("cc", "strace", "ptrace", "fiu-run")
@pytest.mark.parametrize("name", TABLES)
def test_what_was_seen_by_hand_comes_back(name: str, head_to_head: ModuleType, tmp_path: Path) -> None:
    program = head_to_head.suite()[name]
    bug, twin = (after_its_error(program, case, tmp_path / "run") for case in head_to_head.prepare(program, tmp_path))
    assert bug != twin
    assert twin[0] in (0, 1, 2), "the twin says what happened: it neither dies nor hangs"


@pytest.mark.needs("cc", "strace", "ptrace")
def test_the_strace_loop_finds_a_lost_write_and_not_its_twin(peers: ModuleType, tmp_path: Path) -> None:
    limits = peers.Limits(budget_s=60, timeout_s=10)
    heard = {}
    for name, flags in (("bug", ()), ("twin", ("-DFIXED",))):
        binary = tmp_path / name
        subprocess.run(["cc", "-O1", "-g", *flags, ERRORS / "timesheet.c", "-o", binary], check=True)
        (folder := tmp_path / f"{name}.folder").mkdir()
        (folder / "hours.txt").write_text("ada 7.5\ngrace 8\n")
        heard[name] = peers.strace(peers.Case(binary=binary, folder=folder), limits, ("write",))
    assert "write ENOSPC 2: exit 0, other files" in heard["bug"].signs
    assert heard["twin"].signs == frozenset()
    assert heard["twin"].whole and heard["twin"].runs > 14, "each errno, each nth and a last one that does not fire"


def test_the_judge_tells_the_endings_apart(peers: ModuleType, tmp_path: Path) -> None:
    (folder := tmp_path / "folder").mkdir()
    (script := tmp_path / "tool").write_text("#!/bin/sh\necho result\necho kept >file\ndate +%N >volatile\n")
    script.chmod(0o755)
    case = peers.Case(binary=script, folder=folder)
    judge = peers.Judge(case, 10)
    assert judge.misbehaviour(peers.run(case, [], 10)) is None, "a file that differs by itself is no sign"
    files = judge.clean.files
    for ended, expected in (
        ((None, b"result\n", files), "hangs"),
        ((-11, b"result\n", files), "dies of a signal"),
        ((139, b"result\n", files), "dies of a signal"),
        ((1, b"", {}), None),
        ((0, b"", files), "exit 0, other stdout"),
        ((0, b"result\n", {**files, "file": "-"}), "exit 0, other files"),
        ((0, b"result\n", {**files, "more": "-"}), "exit 0, other files"),
    ):
        status, stdout, left = ended
        assert judge.misbehaviour(peers.Ended(status=status, stdout=stdout, files=left)) == expected
