"""`firedamp canary` on a program that forks, starts others, has threads, or gives its canary away."""

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from firedamp.canary.functions import census

SOURCE = Path(__file__).parents[1] / "targets" / "canary" / "server.c"
pytestmark = [pytest.mark.needs("ptrace"), pytest.mark.needs("gcc")]


def compiled(folder: Path, *flags: str) -> Path:
    subprocess.run(["gcc", "-g", "-O1", "-pthread", *flags, SOURCE, "-o", folder / "server"], check=True)
    return folder / "server"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return compiled(tmp_path_factory.mktemp("server"), "-fstack-protector-strong")


def strength(program: Path, mode: str, folder: Path) -> dict[str, Any]:
    done = subprocess.run(
        [sys.executable, "-P", "-m", "firedamp", "canary", "--json", "-n", "3", "--", str(program), mode],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=250,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)["strength"]
    return found


def test_each_run_has_another_canary_and_a_quiet_program_keeps_it(server: Path, tmp_path: Path) -> None:
    found = strength(server, "quiet", tmp_path)
    assert (found["seen"], found["distinct"]) == (3, 3)
    assert found["fixed"][0] == "NUL" and found["random_bytes"] >= 6  # a byte is alike in three runs once in 65,536
    assert (found["leaks"], found["fork"]["children"], found["threads"]) == ([], 0, 0)


@pytest.mark.parametrize(("mode", "inherited"), [("fork", 3), ("exec", 0)])
def test_children_of_fork_alone_have_their_parents_canary(
    mode: str, inherited: int, server: Path, tmp_path: Path
) -> None:
    assert strength(server, mode, tmp_path)["fork"] == {"children": 3, "inherited": inherited}


def test_threads_and_leaks_are_seen(server: Path, tmp_path: Path) -> None:
    threads = strength(server, "thread", tmp_path)
    assert (threads["threads"], threads["sharing"]) == (3, 3)
    leaks = strength(server, "leak", tmp_path)["leaks"]
    assert [(leak["syscall"], leak["descriptor"], leak["offset"]) for leak in leaks] == [("write", 1, 17)] * 3
    assert "main" in [frame["function"] for frame in leaks[0]["stack"]]


def test_functions_with_arrays_and_without_a_canary_are_named(server: Path, tmp_path: Path) -> None:
    guarded = census(server)
    assert guarded.known and guarded.unguarded == () and guarded.arrays >= 1
    bare = census(compiled(tmp_path, "-fno-stack-protector"))
    assert [(each.name, each.buffer, each.buffer_bytes) for each in bare.unguarded] == [("local", "copy[]", 24)]
    assert not census(compiled(tmp_path, "-g0")).known
    assert not census(SOURCE).known


def test_every_field_is_documented(server: Path, tmp_path: Path) -> None:
    documented = set(re.findall(r"`(\w+)`", (Path(__file__).parents[2] / "docs" / "json.md").read_text()))
    found = strength(server, "leak", tmp_path)
    assert {*found, *found["fork"], *found["census"], *found["leaks"][0]} <= documented
