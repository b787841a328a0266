"""Functions and lines: the compiler is told where each call is, and addr2line must agree."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from firedamp.outcome import Frame
from firedamp.symbols import resolve, resolve_frame
from firedamp.symbols.functions import CLONE

SOURCE = """\
#include <stdio.h>
#include <stdlib.h>
static inline __attribute__((always_inline)) int inlined(int x) {
  return x * rand();
}
static __attribute__((noinline)) int helper(int x) {
  int y = inlined(x);
  puts("x");
  return y + 1;
}
int main(int c, char **v) {
  return helper(c) + (v != 0);
}
"""


def compile_source(folder: Path, compiler: str, *flags: str, source: str = SOURCE) -> Path:
    (folder / "here").mkdir(exist_ok=True)
    file = folder / "here" / "program.c"
    file.write_text(source)
    program = folder / "program"
    # a name with .. in it: what comes out must be normal
    subprocess.run(
        [compiler, "-O2", *flags, "-o", program, "../here/program.c"], check=True, cwd=folder / "here", stderr=-1
    )
    return program


def addresses(program: Path) -> list[int]:
    text = subprocess.run(["objdump", "-d", "-j", ".text", program], capture_output=True, text=True, check=True).stdout
    return [int(address, 16) for address in re.findall(r"^ *([0-9a-f]+):", text, re.MULTILINE)]


def addr2line(program: Path, places: list[int]) -> list[tuple[str, str]]:
    """(base name of the file, line) of each address."""
    out = subprocess.run(
        ["addr2line", "-e", program, *map(hex, places)], capture_output=True, text=True, check=True
    ).stdout.splitlines()
    found = []
    for place in out:
        file, _, line = place.partition(" ")[0].rpartition(":")
        found.append((Path(file).name, line))
    return found


def call_of(program: Path, function: str) -> int:
    """The address of the last byte of the first call of `function`."""
    text = subprocess.run(["objdump", "-d", "--no-show-raw-insn", program], capture_output=True, text=True).stdout
    after = re.search(rf"call.*<{function}.*\n *([0-9a-f]+):", text)
    assert after is not None
    return int(after[1], 16) - 1


@pytest.mark.parametrize("version", [2, 3, 4, 5])
@pytest.mark.parametrize("compiler", [pytest.param(name, marks=pytest.mark.needs(name)) for name in ("gcc", "clang")])
def test_functions_and_lines_of_every_dwarf_version(tmp_path: Path, compiler: str, version: int) -> None:
    program = compile_source(tmp_path, compiler, f"-gdwarf-{version}")
    rand, puts = (resolve_frame(Frame(module=str(program), offset=call_of(program, name))) for name in ("rand", "puts"))
    file = str(tmp_path / "here" / "program.c")
    assert (rand.function, rand.file, rand.line) == ("helper", file, 4)  # the line is that of the inlined call
    assert (puts.function, puts.file, puts.line) == ("helper", file, 8)
    assert puts.function_offset is not None
    assert puts.function_offset > 0
    assert puts.own


@pytest.mark.needs("gcc", "addr2line", "objdump")
@pytest.mark.parametrize("compiler", [pytest.param(name, marks=pytest.mark.needs(name)) for name in ("gcc", "clang")])
def test_every_address_as_addr2line_says(tmp_path: Path, compiler: str) -> None:
    program = compile_source(tmp_path, compiler, "-g")
    places = addresses(program)
    compared = 0
    for address, (file, line) in zip(places, addr2line(program, places), strict=True):
        if file != "program.c" or not line.isdigit() or line == "0":
            continue  # start-up code without line tables
        frame = resolve_frame(Frame(module=str(program), offset=address))
        assert (Path(frame.file or "").name, str(frame.line)) == (file, line), hex(address)
        compared += 1
    assert compared > 15


@pytest.mark.needs("gcc")
def test_a_stripped_function_is_called_after_its_start(tmp_path: Path) -> None:
    program = compile_source(tmp_path, "gcc", "-g")
    place = call_of(program, "puts")
    whole = resolve_frame(Frame(module=str(program), offset=place))
    assert whole.function_offset is not None
    stripped = tmp_path / "stripped"
    subprocess.run(["strip", "-o", stripped, program], check=True)
    frame = resolve_frame(Frame(module=str(stripped), offset=place))
    assert frame.function == f"sub_{place - whole.function_offset:x}"
    assert frame.function_offset == whole.function_offset
    assert frame.file is None


@pytest.mark.needs("gcc", "objcopy")
def test_debug_information_in_a_file_apart(tmp_path: Path) -> None:
    program = compile_source(tmp_path, "gcc", "-g")
    place = call_of(program, "puts")
    bare, folder = tmp_path / "bare", tmp_path / ".debug"
    folder.mkdir()
    subprocess.run(["objcopy", "--only-keep-debug", program, folder / "bare.debug"], check=True)
    subprocess.run(["objcopy", "--strip-all", f"--add-gnu-debuglink={folder}/bare.debug", program, bare], check=True)
    frame = resolve_frame(Frame(module=str(bare), offset=place))
    assert (frame.function, frame.line) == ("helper", 8)
    (folder / "bare.debug").write_bytes((folder / "bare.debug").read_bytes() + b"other")  # the checksum is wrong now
    other = tmp_path / "other"
    shutil.copy(bare, other)
    assert resolve_frame(Frame(module=str(other), offset=place)).line is None


@pytest.mark.needs("gcc")
def test_a_rebuilt_file_is_read_again(tmp_path: Path) -> None:
    first = compile_source(tmp_path, "gcc", "-g")
    frame = Frame(module=str(first), offset=call_of(first, "puts"))
    assert resolve_frame(frame).line == 8
    second = compile_source(tmp_path, "gcc", "-g", source="\n\n" + SOURCE)
    assert resolve_frame(Frame(module=str(second), offset=call_of(second, "puts"))).line == 10


# In a process of its own: under a coverage measurement it would take five times as long.
TIMED = """
import sys, time
from firedamp.outcome import Frame
from firedamp.symbols import resolve, resolve_frame
module, place = sys.argv[1], int(sys.argv[2])
start = time.process_time()
frame = resolve_frame(Frame(module=module, offset=place))
first_s = time.process_time() - start
start = time.process_time()
resolve((frame, Frame(module=module, offset=place - 1)) * 100)
print(frame.function, frame.line, first_s, time.process_time() - start)
"""


@pytest.mark.needs("gcc")
def test_a_large_file_takes_less_than_a_second(tmp_path: Path) -> None:
    body = "\n".join(
        f"int f{number}(int a, int b) {{\n int s = 0;\n for (int i = 0; i < a; i++) {{\n  if (b > i) s += z * b;\n"
        f"  else {{\n   s -= z;\n   z = s;\n  }}\n }}\n printf(\"%d\", s);\n return s;\n}}"
        for number in range(500)
    )  # fmt: skip
    source = f"#include <stdio.h>\nvolatile int z;\n{body}\nint main(int c, char **v) {{ return f1(c, c); }}\n"
    program = compile_source(tmp_path, "gcc", "-O1", "-g", source=source)
    assert program.stat().st_size > 150_000
    words = [sys.executable, "-P", "-c", TIMED, program, str(call_of(program, "printf"))]
    uncounted = {name: value for name, value in os.environ.items() if not name.startswith("COVERAGE")}
    done = subprocess.run(words, env=uncounted, capture_output=True, text=True, check=True)
    function, line, first_s, again_s = done.stdout.split()
    assert (function, line) == ("f0", "12")
    assert float(first_s) < 1.0 and float(again_s) < 0.1


@pytest.mark.parametrize(
    ("symbol", "function"),
    [
        ("f.isra.0", "f"),
        ("f.part.12", "f"),
        ("f.cold", "f"),
        ("f.constprop.0.isra.3.cold", "f"),
        ("f.llvm.123456789", "f"),
        ("f.impl", "f.impl"),
        ("cold", "cold"),
    ],
)
def test_names_of_clones(symbol: str, function: str) -> None:
    assert CLONE.sub("", symbol) == function


def test_what_cannot_be_read_stays_as_it_was(tmp_path: Path) -> None:
    nonsense = tmp_path / "nonsense"
    nonsense.write_bytes(b"\x7fELF" + b"\xff" * 4096)
    os.mkfifo(tmp_path / "pipe")
    frames = tuple(
        Frame(module=module, offset=64)
        for module in (
            "[vdso]",
            "[anon]",
            "/nowhere",
            "/dev",
            str(nonsense),
            str(tmp_path / "pipe"),
            "/\0",
            "/dev/null",
        )
    )
    for before, after in zip(frames, resolve(frames), strict=True):
        assert (after.function, after.file, after.line) == (None, None, None)
        assert (after.module, after.offset) == (before.module, before.offset)


@pytest.mark.needs("gcc")
def test_any_file_is_read_without_an_error(tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("any")
    program = compile_source(folder, "gcc", "-g", "-Wl,--build-id=none")
    good = program.read_bytes()
    place = call_of(program, "puts")
    count = 0

    @settings(max_examples=100)
    @given(st.lists(st.tuples(st.integers(0, len(good) - 1), st.integers(0, 255)), min_size=1, max_size=200))
    def corrupt(changes: list[tuple[int, int]]) -> None:
        nonlocal count
        count += 1
        data = bytearray(good)
        for position, value in changes:
            data[position] = value
        broken = folder / f"broken{count}"
        broken.write_bytes(data)
        resolve_frame(Frame(module=str(broken), offset=place))
        broken.unlink()

    corrupt()
    assert count >= 100
