"""The line of a finding is where a person looks: the call of a fortified function, the return of a smashed one."""

from pathlib import Path

import pytest

from firedamp import guards
from firedamp.building.build import build
from firedamp.run import Bench
from firedamp.target import Profile, Target, TargetKind

SOURCE = """
#include <stdint.h>
#include <string.h>

__attribute__((noinline)) int copy(const char *text) {
  char name[24] = "ab";
  if (text[0] == 'x')
    return 1;
  strcat(name, text); /* the call */
  return name[3];
}

int first;

__attribute__((noinline)) int fill(const uint8_t *data, size_t size) {
  char name[16];
  volatile char *to = name;
  for (size_t i = 0; i < size; i++)
    to[i] = (char)data[i];
  if (first == 7) {
    for (size_t i = 0; i < size; i++)
      to[i] = 0;
    first = copy("seven");
  }
  return name[3] + first; /* the return */
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  if (size > 100 && data[0] == 'C')
    copy((const char *)data);
  if (size > 100 && data[0] == 'F')
    fill(data, size);
  return 0;
}
"""


def line_of(text: str) -> int:
    return next(number for number, line in enumerate(SOURCE.splitlines(), 1) if text in line)


@pytest.mark.needs("ptrace")
@pytest.mark.parametrize("compiler", [pytest.param(name, marks=pytest.mark.needs(name)) for name in ("gcc", "clang")])
def test_lines_are_those_of_the_call_and_of_the_return(compiler: str, tmp_path: Path) -> None:
    root = tmp_path / "project"
    root.mkdir()
    (root / "harness.c").write_text(SOURCE)
    target = Target(name="t", kind=TargetKind.HARNESS, root=root, sources=("harness.c",))
    made = build(target, Profile.HARDENED, compiler=compiler, cache=tmp_path / "cache")
    with Bench(target, made) as bench:
        (overflow,) = guards.judge(bench.run_input(b"C" * 200 + b"\0"))
        (smash,) = guards.judge(bench.run_input(b"F" * 200))

    assert overflow.frame is not None and smash.frame is not None
    assert (overflow.kind, overflow.frame.function) == ("fortify-overflow", "copy")
    assert overflow.frame.line == line_of("the call")
    assert (smash.kind, smash.frame.function) == ("stack-smash", "fill")
    assert smash.frame.line is not None
    assert abs(smash.frame.line - line_of("the return")) <= 1
