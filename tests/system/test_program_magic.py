"""Coverage and comparisons lead into a program with a main of its own."""

import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

import fuzz
from firedamp.building.build import build
from firedamp.engine import Job, Progress
from firedamp.target import InputMode, Profile, Target, TargetKind

SOURCE = """
#include <stdio.h>
#include <stdlib.h>
int main(void) {
  char text[64] = "";
  if (!fread(text, 1, sizeof text - 1, stdin)) return 1;
  if (text[0] == 'M')
    if (text[1] == 'A')
      if (text[2] == 'G')
        if (text[3] == '!') abort();
  return puts(text) < 0;
}
"""


def tracepoints(executable: Path) -> int:
    """Calls of the coverage hook in main."""
    words = ["objdump", "-d", "--disassemble=main", str(executable)]
    code = subprocess.run(words, check=True, capture_output=True, text=True).stdout
    return code.count("<__sanitizer_cov_trace_pc>")


def make(tmp_path: Path, compiler: str) -> tuple[Target, Path]:
    root = tmp_path / "project"
    root.mkdir()
    (root / "tool.c").write_text(SOURCE)
    target = Target(
        name="tool", kind=TargetKind.PROGRAM, root=root, sources=("tool.c",), input=InputMode.STDIN, max_len=16
    )
    return target, tmp_path / "cache"


@pytest.mark.needs("objdump")
@pytest.mark.parametrize("compiler", [pytest.param(name, marks=pytest.mark.needs(name)) for name in ("gcc", "clang")])
def test_each_byte_of_a_magic_word_is_a_place_of_its_own(compiler: str, tmp_path: Path) -> None:
    target, cache = make(tmp_path, compiler)
    made = build(target, Profile.HARDENED, compiler=compiler, cache=cache, allow_unguarded=True)

    assert tracepoints(made.executable) >= 6


@pytest.mark.slow
@pytest.mark.timeout(1300)
@pytest.mark.needs("clang")
@pytest.mark.needs("ptrace")
def test_a_magic_word_of_four_bytes_is_found(tmp_path: Path) -> None:
    target, cache = make(tmp_path, "clang")
    made = build(target, Profile.HARDENED, compiler="clang", cache=cache, allow_unguarded=True)
    job = Job(target=target, build=made, results=tmp_path / "results", runs=300_000, time_s=1200.0, seed=1)

    attempt = next(iter(fuzz.ENGINE.search(job, Progress())))

    assert attempt.reproducer.payload.startswith(b"MAG!")


COMPARING = """
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
int main(void) {
  char text[64] = "";
  uint32_t magic;
  size_t size = fread(text, 1, sizeof text - 1, stdin);
  memcpy(&magic, text, sizeof magic);
  if (size < 8 || magic != 0x464c457f) return 1;
  if (!strcmp(text + 4, "password")) abort();
  return puts(text) < 0;
}
"""


@pytest.mark.needs("ptrace")
@pytest.mark.parametrize(
    ("compiler", "flags"),
    [
        pytest.param("gcc", ("-static",), marks=pytest.mark.needs("gcc")),
        pytest.param("clang", (), marks=pytest.mark.needs("clang")),
    ],
)
def test_what_the_program_compares_is_put_into_its_input(compiler: str, flags: tuple[str, ...], tmp_path: Path) -> None:
    target, cache = make(tmp_path, compiler)
    (target.root / "tool.c").write_text(COMPARING)
    target = replace(target, ldflags=flags)
    made = build(target, Profile.HARDENED, compiler=compiler, cache=cache, allow_unguarded=True)
    job = Job(target=target, build=made, results=tmp_path / "results", runs=20_000, time_s=250.0, seed=1)

    attempt = next(iter(fuzz.ENGINE.search(job, Progress())))

    assert attempt.reproducer.payload.startswith(b"\x7fELFpassword")
