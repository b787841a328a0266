"""FormatGuard where the confusion matrix does not look: with zig, beside FORTIFY alone, and what it leaves alone."""

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from firedamp.building.build import build
from firedamp.building.proof import describe
from firedamp.guards import judge
from firedamp.run import Bench
from firedamp.target import Build, InputMode, Profile, Target, TargetKind

TARGETS = Path(__file__).parent.parent / "targets"
CASES = {"format_user": b"%x%x", "format_wrapper": b"<%s> <%d>", "format_literal": b"E", "format_type": b"7"}
PROGRAM = """
#include <stdio.h>
int main(int argc, char **argv) {
  char line[64];
  (void)argv;
  if (!fgets(line, sizeof line, argc > 1 ? fopen(argv[1], "r") : stdin)) return 2;
  printf(line);
  return 0;
}
"""
LOOKALIKE = """
#include <stdio.h>
int LLVMFuzzerTestOneInput(const unsigned char *data, unsigned long size);
static int own(const char *format, ...) { return format[0]; }
static int two(const char *a) { return a[0]; }
int LLVMFuzzerTestOneInput(const unsigned char *data, unsigned long size) {
  char line[9];
  int (*own_too)(const char *) = two;
  { int (*own)(const char *) = own_too; if (size) own("x"); }
  return snprintf(line, sizeof line, "%lu", size) < own("%d", data[0]);
}
"""


@pytest.fixture
def made(tmp_path: Path) -> Callable[..., Build]:
    def make(text: str, kind: TargetKind, mode: InputMode = InputMode.BUFFER, **more: tuple[str, ...]) -> Build:
        (tmp_path / "a.c").write_text(text)
        cflags = ("-Wno-format-security",)
        target = Target(name="t", kind=kind, root=tmp_path, sources=("a.c",), cflags=cflags, input=mode, **more)
        return build(target, compiler="gcc", cache=tmp_path / "cache", allow_unguarded=True)

    return make


def kinds(made: Build, data: bytes, folder: Path) -> list[tuple[str, str]]:
    with Bench(made.target, made, workdir=folder) as bench:
        return [(one.kind, one.message) for one in judge(bench.run_input(data))]


def of_targets(name: str, compiler: str, cache: Path, profile: Profile = Profile.HARDENED) -> Build:
    cflags = ("-Wno-format-security",)
    target = Target(name=name, kind=TargetKind.HARNESS, root=TARGETS, sources=(f"{name}.c",), cflags=cflags)
    return build(target, profile, compiler=compiler, cache=cache, allow_unguarded=True)


@pytest.mark.slow
@pytest.mark.needs("zig", "ptrace")
@pytest.mark.parametrize("name", [*CASES, "format_innocent"])
def test_zig_counts_as_well(name: str, tmp_path: Path) -> None:
    said = kinds(of_targets(name, "zig", tmp_path / "cache"), CASES.get(name, b"%s%s%n%5d"), tmp_path)
    assert [kind for kind, _ in said] == (["format-arguments"] if name in CASES else [])


@pytest.mark.needs("gcc")
def test_fortify_alone_is_silent(tmp_path: Path) -> None:
    source = TARGETS / "format_user.c"
    flags = ("-O2", "-w", "-D_FORTIFY_SOURCE=3", "-fstack-protector-strong")
    replay = Path(__file__).parents[2] / "firedamp/runtime/replay.c"
    subprocess.run(["gcc", *flags, str(source), str(replay), "-o", str(tmp_path / "alone")], check=True)
    (tmp_path / "input").write_bytes(CASES["format_user"])
    assert subprocess.run([tmp_path / "alone", tmp_path / "input"]).returncode == 0


@pytest.mark.needs("gcc", "ptrace")
@pytest.mark.parametrize(
    ("mode", "words", "part"),
    [
        (InputMode.STDIN, (), "bytes 0-7 of the standard input"),
        (InputMode.FILE, ("@@",), "bytes 0-7 of the file of argument 1"),
    ],
)
def test_a_program_is_told_where_its_format_came_from(
    made: Callable[..., Build], mode: InputMode, words: tuple[str, ...], part: str, tmp_path: Path
) -> None:
    program = made(PROGRAM, TargetKind.PROGRAM, mode, args=words)
    ((kind, message),) = kinds(program, b"too%s%d\n", tmp_path)
    assert kind == "format-arguments"
    assert "asks for 2 arguments, 0 were given" in message
    assert part in message


@pytest.mark.needs("gcc")
def test_what_cannot_be_marked_is_compiled_as_it_is_and_said(made: Callable[..., Build]) -> None:
    harness = made(LOOKALIKE, TargetKind.HARNESS)
    assert (harness.proof.formats, harness.proof.uncounted) == (True, ("a.c",))
    assert "format arguments are not counted in a.c" in describe(harness.proof)


@pytest.mark.needs("gcc")
def test_the_target_s_own_archive_goes_before_the_guard(made: Callable[..., Build], tmp_path: Path) -> None:
    (tmp_path / "own.c").write_text("int printed; void warnx(const char *f, ...) { printed += f[0] == 'x'; }")
    subprocess.run(["gcc", "-fPIC", "-c", "own.c", "-o", "own.o"], cwd=tmp_path, check=True)
    subprocess.run(["ar", "rcs", "libown.a", "own.o"], cwd=tmp_path, check=True)
    text = (
        "#include <err.h>\n#include <stdio.h>\nextern int printed;\n"
        'int main(void) { warnx("x%d", 1); return printf("%d\\n", printed) < 0; }'
    )
    program = made(text, TargetKind.PROGRAM, InputMode.STDIN, ldflags=("libown.a",))
    assert subprocess.run([program.executable], capture_output=True, env=dict(os.environ)).stdout == b"1\n"
    assert program.proof.formats
