"""`firedamp bisect` over a small history: names the commit, leaves out what does not build, touches nothing."""

import json
import os
import subprocess
import tempfile
from pathlib import Path

import pytest

from firedamp import engine, reproducer_file
from firedamp.cli import main
from firedamp.confirm import confirm
from firedamp.reproducer import Reproducer
from firedamp.target import InputMode, Profile, Target, TargetKind

HARNESS = """
#include <stdint.h>
#include <stddef.h>

{before}
__attribute__((noinline)) int parse(const volatile int *number, size_t size) {{
  if (size > 80{limit}) number = NULL;
  return *number;
}}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {{
  int number = data ? 3 : 4;
  return parse(&number, size) & 0;
}}
"""
CAREFUL, CARELESS = " && 0", ""
SCRIPT = "#!/bin/sh\necho whole > out {}\n"


def git(folder: Path, *words: str) -> str:
    identity = {f"GIT_{who}_{what}": "a@b" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
    environment = {**os.environ, **identity, "GIT_CONFIG_GLOBAL": os.devnull}
    run = subprocess.run(["git", *words], cwd=folder, env=environment, check=True, capture_output=True, text=True)
    return run.stdout


def history(folder: Path, name: str, contents: list[str]) -> list[str]:
    """One commit for each content of the file; their names."""
    folder.mkdir()
    git(folder, "init", "-q", "-b", "main")
    for number, content in enumerate(contents):
        (folder / name).write_text(content)
        (folder / name).chmod(0o755)
        git(folder, "add", name)
        git(folder, "commit", "-q", "-m", f"change {number}")
    return git(folder, "rev-list", "--reverse", "HEAD").split()


def kept(folder: Path, reproducer: Reproducer, build: object = None) -> Path:
    """A finding's reproducer, as a campaign leaves it."""
    shown = confirm(engine.load(reproducer.engine), reproducer, build, times=1)  # type: ignore[arg-type]
    (detection,) = shown.detections.values()
    return reproducer_file.write(reproducer, folder, detection=detection)


def state(folder: Path) -> tuple[str, ...]:
    """All that a bisection must leave alone, its own worktrees included."""
    said = [git(folder, *words.split()) for words in ("status --porcelain -b", "worktree list", "stash list", "reflog")]
    return (*said, (folder / ".git" / "index").read_bytes().hex())


def bisected(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, dict[str, object]]:
    capsys.readouterr()
    code = main(["bisect", *words, "--json"])
    return code, json.loads(capsys.readouterr().out)


@pytest.fixture
def smash(tmp_path: Path) -> tuple[Path, Path, list[str]]:
    from firedamp.building.build import build

    def version(limit: str, before: str = "") -> str:
        return HARNESS.format(limit=limit, before=before)

    contents = [
        version(CAREFUL),
        version(CAREFUL, "static const int two = 2;"),
        "this is no C",
        version(CARELESS, "\n\n\n"),
        version(CARELESS, "static const int four = 4;"),
        version(CAREFUL, "/* repaired */"),
    ]
    project = tmp_path / "project"
    commits = history(project, "harness.c", contents)
    target = Target(name="t", kind=TargetKind.HARNESS, root=project, sources=("harness.c",))
    (project / "harness.c").write_text(contents[3])
    made = build(target, Profile.PLAIN, cache=tmp_path / "cache")
    path = kept(
        tmp_path / "finding", Reproducer(engine="fuzz", target=target, profile=Profile.PLAIN, payload=b"A" * 90), made
    )
    git(project, "checkout", "-q", "harness.c")
    return project, path, commits


@pytest.mark.needs("ptrace", "git")
def test_the_commits_that_introduced_and_repaired_a_finding_are_named(
    smash: tuple[Path, Path, list[str]],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    project, path, commits = smash
    (tmp_path / "temporary").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    before = state(project)

    code, answer = bisected(capsys, str(path), "--good", commits[0], "--bad", "HEAD~1", "-n", "1")
    assert (code, answer["commit"], answer["fixed"]) == (1, None, False)
    assert [each["name"] for each in answer["candidates"]] == commits[2:4]  # type: ignore[attr-defined]
    states = {each["commit"]: each["state"] for each in answer["tested"]}  # type: ignore[attr-defined]
    assert states == {
        commits[0]: "absent",
        commits[1]: "absent",
        commits[2]: "skipped",
        commits[3]: "present",
        commits[4]: "present",
    }

    code, answer = bisected(capsys, str(path), "--fixed", "-n", "2")
    assert (code, answer["commit"]["name"]) == (0, commits[5])  # type: ignore[index]
    assert {each["runs"] for each in answer["tested"]} == {2}  # type: ignore[attr-defined]

    assert state(project) == before
    assert not list((tmp_path / "temporary").iterdir())


@pytest.mark.needs("ptrace", "git")
def test_a_finding_of_a_run_under_faults_is_bisected_by_its_command(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    careless, careful = SCRIPT.format("2>/dev/null\nexit 0"), SCRIPT.format("|| exit 1")
    project = tmp_path / "project"
    commits = history(project, "tool", [careful, careful + "# again\n", careless, careless + "# again\n"])
    target = Target(name="tool", kind=TargetKind.COMMAND, root=project, command=("./tool",), input=InputMode.NONE)
    policy = b"# firedamp policy 1\nwrite: true then deny[enospc]\n"
    path = kept(tmp_path / "finding", Reproducer(engine="inject", target=target, profile=Profile.PLAIN, payload=policy))

    code, answer = bisected(capsys, str(path), "-n", "1")
    assert (code, answer["commit"]["name"]) == (0, commits[2])  # type: ignore[index]


@pytest.mark.needs("git")
def test_what_cannot_be_bisected_is_refused_with_a_remedy(
    smash: tuple[Path, Path, list[str]], capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    project, path, commits = smash
    assert main(["bisect", str(path), "--good", "nonsense"]) == 2
    assert "'nonsense': is no commit" in capsys.readouterr().err
    git(project, "checkout", "-q", "--orphan", "other")
    git(project, "commit", "-q", "-m", "elsewhere")
    assert main(["bisect", str(path), "--good", commits[0]]) == 2
    assert "git log --first-parent" in capsys.readouterr().err
