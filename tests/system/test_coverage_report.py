"""What a corpus reached of the source: numbers, names and pages."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

SOURCE = """\
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include "sign.h"
static int never(int x) {
  if (x > 3)
    return 1;
  return 2;
}
static int classify(const uint8_t *data, size_t size) {
  if (size < 2) /* <script>alert(1)</script> */
    return 0;
  if (data[0] == 'N' && data[1] == 'V')
    return never(data[1]);
  if (data[0] == 'G') {
    int a = data[1];
    return a + 1;
  }
  if (data[0] == 'A')
    abort();
  return sign(data[0]);
}
"""
HARNESS = "int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {\n  return classify(data, size) & 0;\n}\n"
MAIN = """int main(void) {
  uint8_t text[8];
  size_t size = fread(text, 1, sizeof text, stdin);
  return classify(text, size) > 100;
}
"""
HEADER = "static int sign(int x) {\n  return x < 0 ? -1 : 1;\n}\n"
CONFIGURATION = """
[targets.library]
sources = ["library.c"]
seeds = "seeds"
[targets.program]
program = true
sources = ["program.c"]
seeds = "seeds"
[targets.made]
program = true
prepare = ["$CC -O2 program.c -o made"]
artifact = "made"
seeds = "seeds"
[targets.installed]
command = ["/bin/cat", "@@"]
seeds = "seeds"
"""
COMPILERS = [pytest.param(name, marks=pytest.mark.needs(name)) for name in ("gcc", "clang", "zig")]


@pytest.fixture
def project(tmp_path: Path) -> Path:
    for name, text in (
        ("library.c", SOURCE + HARNESS),
        ("program.c", SOURCE + MAIN),
        ("sign.h", HEADER),
        ("firedamp.toml", CONFIGURATION),
    ):
        (tmp_path / name).write_text(text)
    (tmp_path / "seeds").mkdir()
    for seed in ("", "NO", "xx"):
        (tmp_path / "seeds" / f"seed-{seed}").write_text(seed)
    return tmp_path


def coverage(project: Path, *words: str) -> "subprocess.CompletedProcess[str]":
    argv = [sys.executable, "-m", "firedamp", "coverage", *words]
    return subprocess.run(argv, cwd=project, capture_output=True, text=True, timeout=250)


def measured(project: Path, *words: str) -> dict[str, Any]:
    done = coverage(project, *words, "--json")
    assert done.returncode == 0, done.stderr
    document: dict[str, Any] = json.loads(done.stdout)
    return document


@pytest.mark.needs("ptrace")
@pytest.mark.parametrize("compiler", COMPILERS)
@pytest.mark.parametrize("target", ["library", "program"])
def test_lines_and_functions(project: Path, target: str, compiler: str) -> None:
    found = measured(project, target, "--compiler", compiler)
    assert (found["inputs"], found["broken"]) == (3, 0)
    assert [each["function"] for each in found["functions_never"]] == ["never"]
    source, header = found["files"]
    assert (source["file"], header["file"]) == (f"{target}.c", "sign.h")
    assert header["lines"] == header["lines_reached"]
    missed = set(source["line_numbers"]["never"])
    assert missed >= {6, 7, 8, 14, 16, 17, 20}
    assert not missed & {11, 12, 13, 15, 19, 21}
    gaps = {(each["function"], each["first"]) for each in found["gaps"]}
    assert gaps == {("classify", 14), ("classify", 16), ("classify", 20)}


@pytest.mark.needs("ptrace")
@pytest.mark.parametrize("compiler", COMPILERS[:2])
def test_a_line_with_blocks_that_nothing_reached_is_reached_in_part(project: Path, compiler: str) -> None:
    found = measured(project, "library", "seeds/seed-xx", "--compiler", compiler)
    assert found["files"][0]["line_numbers"]["partly"] == [13]  # what stands behind && was not looked at


@pytest.mark.needs("ptrace", "gcc")
@pytest.mark.parametrize("target", ["library", "program", "made"])
def test_what_an_input_reached_before_it_died_counts(project: Path, target: str) -> None:
    (project / "seeds" / "abort").write_text("A!")
    (project / "seeds" / "behind").write_text("Gz")
    found = measured(project, target, "--compiler", "gcc")
    assert (found["inputs"], found["broken"]) == (5, 1)
    assert not set(found["files"][0]["line_numbers"]["never"]) & {16, 17, 20}


@pytest.mark.needs("ptrace", "gcc")
def test_pages_show_the_source_and_escape_it(project: Path) -> None:
    done = coverage(project, "library", "--html", "pages", "--compiler", "gcc")
    assert done.returncode == 0, done.stderr
    assert "functions never reached, largest first:" in done.stdout
    assert "never (library.c:" in done.stdout
    index = (project / "pages" / "index.html").read_text()
    assert 'href="1.html#14"' in index and "sign.h" in index
    page = (project / "pages" / "1.html").read_text()
    assert "<script>" not in page and "&lt;script&gt;" in page
    assert '<tr id="14" class="never">' in page


@pytest.mark.needs("ptrace", "gcc")
def test_named_inputs_stand_in_for_the_corpus(project: Path) -> None:
    (project / "one").write_text("")
    found = measured(project, "library", "one", "--compiler", "gcc")
    assert found["inputs"] == 1
    assert {"never", "sign"} <= {each["function"] for each in found["functions_never"]}


def test_what_counts_nothing_is_said(project: Path) -> None:
    done = coverage(project, "installed")
    assert done.returncode == 2
    assert "not compiled by firedamp" in done.stderr
