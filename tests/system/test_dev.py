"""`dev` on machines that lack something, and the reckoning of skips that CI relies on."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
NEEDED = ("sh", "dirname", "uname", "cksum", "tr", "cat", "rm", "sed")  # what dev calls before there is any Python


def dev(tmp_path: Path, *words: str, **programs: str) -> subprocess.CompletedProcess[str]:
    """`dev` copied to a folder without .venv; PATH holds what it needs and `programs`, which are shell scripts."""
    tools = tmp_path / "bin"
    tools.mkdir()
    for name in NEEDED:
        (tools / name).symlink_to(str(shutil.which(name)))
    for name, script in programs.items():
        (tools / name).unlink(missing_ok=True)
        (tools / name).write_text(f"#!/bin/sh\n{script}\n")
        (tools / name).chmod(0o755)
    for name in ("dev", "pyproject.toml"):
        shutil.copy(ROOT / name, tmp_path)
    environment = {"PATH": str(tools), "HOME": str(tmp_path)}
    command = ["/bin/sh", str(tmp_path / "dev"), *words]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


def test_a_python_that_is_too_old_is_said(tmp_path: Path) -> None:
    done = dev(tmp_path, "setup", python3="exit 1")
    assert (done.returncode, "CPython 3.11 or newer" in done.stderr) == (3, True)


def test_another_platform_is_said(tmp_path: Path) -> None:
    done = dev(tmp_path, "setup", uname='[ "$1" = -s ] && echo Linux || echo aarch64')
    assert (done.returncode, "needs Linux on x86-64, this is Linux on aarch64" in done.stderr) == (3, True)


def test_without_venv_the_line_that_helps_is_printed(tmp_path: Path) -> None:
    done = dev(tmp_path, "setup", python3='[ "$1" = -c ]')
    assert (done.returncode, "apt-get install python3-venv" in done.stderr) == (3, True)
    assert not (tmp_path / ".venv").exists()


def test_without_network_the_packages_are_said(tmp_path: Path) -> None:
    venv = tmp_path / ".venv" / "bin"
    venv.mkdir(parents=True)
    (venv / "python").write_text('#!/bin/sh\ncase "$1" in -V) echo Python 3.99.0 ;; -c) ;; *) exit 1 ;; esac\n')
    (venv / "python").chmod(0o755)
    done = dev(tmp_path, "setup")
    assert done.returncode == 3
    assert "is the network there, and has Atheris a wheel for Python 3.99.0?" in done.stderr


@pytest.mark.parametrize(("words", "code"), [((), 0), (("help",), 0), (("tset",), 2)])
def test_usage(tmp_path: Path, words: tuple[str, ...], code: int) -> None:
    done = dev(tmp_path, *words)
    assert (done.returncode, "./dev demo" in done.stdout) == (code, True)


@pytest.mark.slow
@pytest.mark.parametrize("workers", [(), ("-n", "2")])
@pytest.mark.parametrize(("allowed", "code"), [("", 1), ("needs a unicorn", 0)])
def test_a_skip_that_was_not_expected_fails(tmp_path: Path, workers: tuple[str, ...], allowed: str, code: int) -> None:
    shutil.copy(ROOT / "tests" / "conftest.py", tmp_path)
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    (tmp_path / "test_skip.py").write_text(
        "import pytest\n\n@pytest.mark.needs('a unicorn')\ndef test_one():\n    pass\n\ndef test_two():\n    pass\n"
    )
    command = [sys.executable, "-m", "pytest", "-q", *workers, "test_skip.py"]
    environment = {**os.environ, "FIREDAMP_EXPECTED_SKIPS": allowed}
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert (done.returncode, "skipped: 1" in done.stdout) == (code, True), done.stdout
    assert ("skips that were not expected here: needs a unicorn" in done.stdout) == (code == 1)
