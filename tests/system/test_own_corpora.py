"""firedamp at work on what it brings itself: its regressions, and its own parsers as targets."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent


def copied_project(folder: Path) -> Path:
    """What the regressions of this repository need, where they may be spoilt."""
    for name in ("firedamp.toml", "docs/demo/greeting.c", "docs/demo/greeting.dict"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, folder / name)
    shutil.copytree(ROOT / "corpora", folder / "corpora")
    return folder


def firedamp(*arguments: str, folder: Path = ROOT) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-P", "-m", "firedamp", *arguments]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)


@pytest.mark.needs("ptrace")
def test_no_regression_of_the_repaired_program_comes_back(tmp_path: Path) -> None:
    done = firedamp("regress", "--results", str(tmp_path))
    assert (done.returncode, done.stdout.count("did not come back")) == (0, 3), done.stdout + done.stderr


@pytest.mark.needs("ptrace")
def test_the_same_regressions_come_back_where_the_program_is_not_repaired(tmp_path: Path) -> None:
    project = copied_project(tmp_path)
    for facts in (project / "corpora/greeting-repaired/regressions").glob("*.toml"):
        facts.write_text(facts.read_text().replace("-DREPAIRED", "-DBROKEN"))
    done = firedamp("regress", folder=project)
    assert (done.returncode, done.stdout.count(" came back")) == (1, 3), done.stdout + done.stderr


@pytest.mark.slow
@pytest.mark.needs("ptrace")
@pytest.mark.parametrize("target", ["policy", "configuration"])
def test_our_own_parsers_stand_our_own_engine(target: str, tmp_path: Path) -> None:
    done = firedamp("fuzz", target, "--runs", "20000", "--seed", "1", "--results", str(tmp_path))
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.needs("ptrace")
def test_a_regression_that_does_not_build_any_more_does_not_hide_the_others(tmp_path: Path) -> None:
    project = copied_project(tmp_path)
    facts = project / "corpora/greeting-repaired/regressions/fortify-percent-n-note.toml"
    facts.write_text(facts.read_text().replace("docs/demo/greeting.c", "docs/demo/gone.c"))
    done = firedamp("regress", folder=project)
    assert (done.returncode, done.stdout.count("did not come back")) == (2, 2), done.stdout + done.stderr
    assert "gone.c" in done.stderr
