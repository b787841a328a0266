"""firedamp's own C is compiled once for all projects of a user."""

from pathlib import Path

import pytest

from firedamp.building import runtime_objects, toolchain

NAME = "reached.c"


@pytest.mark.needs("cc")
def test_the_second_project_takes_what_the_first_one_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "home"))
    first = runtime_objects.compile_runtime(toolchain.choose(), NAME, tmp_path / "first.o")
    (kept,) = (path for path in (tmp_path / "home").rglob("*") if path.is_file())
    assert kept.read_bytes() == first.read_bytes()
    kept.write_bytes(b"kept")
    assert runtime_objects.compile_runtime(toolchain.choose(), NAME, tmp_path / "second.o").read_bytes() == b"kept"


@pytest.mark.needs("cc")
@pytest.mark.parametrize("home", ["/proc/nowhere", "relative", "/dev/null"])
def test_a_home_that_keeps_nothing_costs_no_build(home: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", home)
    assert runtime_objects.compile_runtime(toolchain.choose(), NAME, tmp_path / "made.o").read_bytes()
    assert [path.name for path in tmp_path.iterdir()] == ["made.o"]
