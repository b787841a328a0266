"""Real compilers on tiny targets: what comes out, what is refused, and what the cache remembers."""

import ctypes
import mmap
import os
import re
import shutil
import struct
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from firedamp.building import toolchain
from firedamp.building.build import build
from firedamp.errors import BuildError, ToolMissing, UnguardedTarget
from firedamp.target import Build, InputMode, Profile, Target, TargetKind

HARNESS = """
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#ifndef ROOM
#define ROOM 16
#endif
static void helper(const uint8_t *data, size_t size) {
  char buffer[ROOM];
  for (size_t i = 0; i < size; i++) buffer[i] = data[i];
  __asm__ volatile("" ::"r"(buffer) : "memory");
}
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  if (size >= 6 && !memcmp(data, "MAGIC!", 6)) abort();
  if (size > 300) helper(data, 40);
  else helper(data, size < 8 ? size : 8);
  return 0;
}
"""
PROGRAM = """
#include <stdio.h>
#include <stdlib.h>
int main(int argc, char **argv) {
  char text[8];
  if (argc > 2) puts("many");
  if (argc > 1) snprintf(text, sizeof text, "%s", argv[1]), puts(text);
  return getenv("FIREDAMP_COVERAGE_FD") != NULL;
}
"""
COMPILERS = [
    pytest.param("gcc", marks=pytest.mark.needs("gcc")),
    pytest.param("clang", marks=pytest.mark.needs("clang")),
]
MAP_BYTES = 1 << 16  # runtime/program_coverage.c


@pytest.fixture
def make(tmp_path: Path) -> Callable[..., Build]:
    """Builds the files given by name in a folder of their own, with the cache beside it."""

    def made(
        files: dict[str, str],
        *,
        kind: TargetKind = TargetKind.HARNESS,
        compiler: str = "gcc",
        profile: Profile = Profile.HARDENED,
        sources: tuple[str, ...] = ("*.c",),
        cflags: tuple[str, ...] = (),
        ldflags: tuple[str, ...] = (),
        prepare: tuple[str, ...] = (),
        allow_unguarded: bool = False,
    ) -> Build:
        root = tmp_path / "project"
        for name, text in files.items():
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            (root / name).write_text(text)
        target = Target(
            name="t", kind=kind, root=root, sources=sources, cflags=cflags, ldflags=ldflags, prepare=prepare
        )
        return build(target, profile, compiler=compiler, cache=tmp_path / "cache", allow_unguarded=allow_unguarded)

    return made


def run(made: Build, *arguments: str | Path) -> "subprocess.CompletedProcess[bytes]":
    return subprocess.run([made.executable, *arguments], capture_output=True, timeout=100)


def symbols(path: Path, *flags: str) -> str:
    return subprocess.run(["nm", *flags, str(path)], capture_output=True, text=True, check=True).stdout


@pytest.mark.parametrize("compiler", COMPILERS)
def test_harness_replays_and_its_guards_are_proved(make: Callable[..., Build], compiler: str, tmp_path: Path) -> None:
    made = make({"a.c": HARNESS}, compiler=compiler)
    assert made.proof.canary
    assert made.proof.coverage
    assert made.proof.pie
    assert made.proof.relro == "full"
    assert made.compiler.startswith(compiler)
    (tmp_path / "good").write_bytes(b"x" * 200)
    (tmp_path / "bad").write_bytes(b"x" * 301)
    assert run(made, tmp_path / "good", tmp_path / "good").returncode == 0
    assert b"stack smashing detected" in run(made, tmp_path / "good", tmp_path / "bad").stderr
    assert run(made, tmp_path / "absent").returncode == 66


@pytest.mark.parametrize("compiler", COMPILERS)
def test_static_function_keeps_a_frame_of_its_own(make: Callable[..., Build], compiler: str) -> None:
    listed = symbols(make({"a.c": HARNESS.replace("else helper", "else (void)")}, compiler=compiler).executable)
    assert " t helper\n" in listed


@pytest.mark.parametrize("compiler", COMPILERS)
def test_runtime_is_hidden_and_one_counter_stands_at_each_edge(make: Callable[..., Build], compiler: str) -> None:
    library = make({"a.c": HARNESS}, compiler=compiler).library
    assert library is not None
    exported = {line.split()[-1] for line in symbols(library, "-D", "--defined-only").splitlines()}
    ours = {"firedamp_one_input", "firedamp_attach", "firedamp_initialize", "firedamp_sample_comparisons"}
    assert ours <= exported
    assert not exported & {"memcmp", "strcmp", "__sanitizer_cov_trace_pc", "__sanitizer_cov_trace_cmp4"}
    headers = subprocess.run(["readelf", "-SW", str(library)], capture_output=True, text=True, check=True).stdout
    sizes = {
        name: int(line.split(name)[1].split()[3], 16)
        for name in ("__sancov_cntrs", "__sancov_pcs")
        for line in headers.splitlines()
        if f" {name} " in line
    }
    assert sizes["__sancov_cntrs"] >= 6
    assert sizes["__sancov_pcs"] == 16 * sizes["__sancov_cntrs"]


@pytest.mark.parametrize("compiler", COMPILERS)
def test_libfuzzer_finds_a_magic_word_and_the_input_survives(
    make: Callable[..., Build], compiler: str, tmp_path: Path
) -> None:
    library = make({"a.c": HARNESS}, compiler=compiler).library
    memory_fd = os.memfd_create("monitor")
    size_bytes = 40 + 4096
    os.ftruncate(memory_fd, size_bytes)
    folder = Path(next(iter(find_spec("atheris").submodule_search_locations)))  # type: ignore[union-attr,arg-type]
    script = f"""
import ctypes
fuzzer = ctypes.CDLL({str(next(folder.glob("core_with_libfuzzer*.so")))!r}, ctypes.RTLD_GLOBAL)
target = ctypes.CDLL({str(library)!r})
assert target.firedamp_attach({memory_fd}, ctypes.c_size_t({size_bytes})) == 0
words = [b"t", b"-seed=1", b"-runs=300000", b"-max_len=64", b"-artifact_prefix={tmp_path}/"]
argv = (ctypes.c_char_p * (len(words) + 1))(*words, None)
count, place = ctypes.c_int(len(words)), ctypes.cast(argv, ctypes.POINTER(ctypes.c_char_p))
fuzzer.LLVMFuzzerRunDriver(ctypes.byref(count), ctypes.byref(place), target.firedamp_one_input)
"""
    ended = subprocess.run([sys.executable, "-c", script], pass_fds=[memory_fd], capture_output=True, timeout=250)
    assert ended.returncode != 0, "the magic word was never found"
    with mmap.mmap(memory_fd, size_bytes) as memory:
        magic, executions, inside, size, capacity = struct.unpack_from("<5Q", memory)
        assert struct.pack("<Q", magic) == b"FREDAMP1"
        assert 0 < executions < 300000
        assert inside == 1
        assert capacity == 4096
        assert memory[40 : 40 + size].startswith(b"MAGIC!")
    os.close(memory_fd)


@pytest.mark.parametrize("compiler", COMPILERS)
def test_program_counts_into_the_shared_map_and_sees_nothing_of_it(make: Callable[..., Build], compiler: str) -> None:
    made = make({"p.c": PROGRAM}, kind=TargetKind.PROGRAM, compiler=compiler)
    assert made.library is None
    assert made.proof.coverage
    assert run(made).returncode == 0  # no map: counts for itself

    def places(*arguments: str) -> frozenset[int]:
        fd = os.memfd_create("map")
        os.ftruncate(fd, MAP_BYTES)
        environment = {**os.environ, "FIREDAMP_COVERAGE_FD": str(fd)}
        subprocess.run([made.executable, *arguments], env=environment, pass_fds=[fd], check=True, capture_output=True)
        with mmap.mmap(fd, MAP_BYTES) as memory:
            found = frozenset(index for index, count in enumerate(memory[:]) if count)
        os.close(fd)
        return found

    assert places() == places()  # without regard to where the program was loaded
    assert places("a") - places()
    assert places("a", "b") - places("a")


@pytest.mark.parametrize("compiler", COMPILERS)
def test_asan_and_plain_profiles(make: Callable[..., Build], compiler: str, tmp_path: Path) -> None:
    over_read = "#include <stdint.h>\n#include <stddef.h>\n"
    over_read += "int LLVMFuzzerTestOneInput(const uint8_t *d, size_t n) { return d[n] == 7; }\n"
    asan = make({"a.c": over_read}, compiler=compiler, profile=Profile.ASAN)
    assert asan.proof.sanitizers == ("address", "undefined")
    assert asan.library is None
    (tmp_path / "input").write_bytes(b"x" * 100)
    assert b"heap-buffer-overflow" in run(asan, tmp_path / "input").stderr  # the copy has exactly its size
    bounds = make({"a.c": HARNESS}, compiler=compiler, profile=Profile.ASAN)
    (tmp_path / "bad").write_bytes(b"x" * 301)
    assert b"index 16 out of bounds" in run(bounds, tmp_path / "bad").stderr
    plain = make({"a.c": HARNESS}, compiler=compiler, profile=Profile.PLAIN)
    assert not plain.proof.guarded
    assert not plain.proof.coverage


@pytest.mark.needs("gcc")
@pytest.mark.needs("g++")
def test_cxx_harness_with_inline_functions_in_section_groups(make: Callable[..., Build], tmp_path: Path) -> None:
    shared = "#include <vector>\n#include <cstdint>\n#include <cstring>\n"
    made = make(
        {
            "a.cc": shared
            + "int other(std::vector<int> &);\n"
            + 'extern "C" int LLVMFuzzerTestOneInput(const uint8_t *d, size_t n) { char t[8]; memcpy(t, d, n & 15);'
            + " std::vector<int> v(t, t + 8); v.push_back(1); return other(v) == 12345; }\n",
            "b.cc": shared + "int other(std::vector<int> &v) { v.push_back(2); return (int)v.size(); }\n",
        },
        sources=("*.cc",),
    )
    (tmp_path / "good").write_bytes(b"abcd")
    assert run(made, tmp_path / "good").returncode == 0
    assert made.library is not None
    ctypes.CDLL(str(made.library), os.RTLD_LAZY)


@pytest.mark.needs("gcc")
def test_prepare_runs_once_in_a_copy_and_instruments(make: Callable[..., Build], tmp_path: Path) -> None:
    files = {
        "a.c": HARNESS + '#include "made.h"\nint in_archive(int);\nint unused(void) { return in_archive(MADE); }\n',
        "lib/b.c": "int in_archive(int a) { return a > 3 ? a : 2 * a; }\n",
        "results/big": "not copied",
    }
    log = tmp_path / "log"
    prepare = (
        "echo 'int main(void) { return 0; }' > conftest.c; $CC $CFLAGS conftest.c $LDFLAGS -o conftest; ./conftest",
        f"echo ran >> {log}; echo '#define MADE 3' > made.h; test ! -e results",
        "$CC $CFLAGS -c lib/b.c -o b.o && ar rcs libb.a b.o",
    )
    made = make(files, sources=("a.c",), prepare=prepare, ldflags=("libb.a",))
    later = files | {"found/findings.db": "of a run with --results found"}
    assert make(later, sources=("a.c",), prepare=prepare, ldflags=("libb.a",)).digest == made.digest
    assert log.read_text() == "ran\n"
    assert not (tmp_path / "project" / "made.h").exists()
    units = subprocess.run(
        ["readelf", "--debug-dump=info", str(made.executable)], capture_output=True, text=True
    ).stdout
    assert re.search(rf"DW_AT_comp_dir .*{re.escape(str(tmp_path))}/project$", units, re.MULTILINE)
    assert "/cache/prepared/" not in units
    with pytest.raises(BuildError, match="prepare: 'false' left with status 1"):
        make(files, sources=("a.c",), prepare=("false",))


@pytest.mark.needs("gcc")
def test_cache_knows_sources_headers_and_flags(make: Callable[..., Build]) -> None:
    files = {"a.c": HARNESS + '#include "a.h"\n', "a.h": "#define A 1\n"}
    first = make(files)
    again = make(files)
    assert again == first
    stamp = first.executable.stat().st_mtime_ns
    assert make({**files, "a.h": "#define A 2\n"}).digest != first.digest
    assert make({**files, "a.c": HARNESS}).digest != first.digest
    assert make(files, cflags=("-DX",)).digest != first.digest
    assert make(files).digest == first.digest
    assert first.executable.stat().st_mtime_ns == stamp


@pytest.mark.needs("gcc")
def test_simultaneous_builds_of_one_target(make: Callable[..., Build], tmp_path: Path) -> None:
    make({"a.c": HARNESS}, cflags=("-DOTHER",))
    with ThreadPoolExecutor(4) as pool:
        builds = [job.result() for job in [pool.submit(make, {}) for _ in range(4)]]
    assert len({made.digest for made in builds}) == 1
    assert builds[0].executable.exists()
    assert not list((tmp_path / "cache").glob(".building-*"))


MAIN = "int main(void) { return 0; }\n"
REFUSALS: dict[str, tuple[dict[str, str], dict[str, Any], str]] = {
    "no-match": ({"a.c": HARNESS}, {"sources": ("lib/*.c",)}, r"sources: 'lib/\*\.c' matches no file below"),
    "syntax": ({"a.c": "int f( {\n"}, {}, r"a\.c does not compile with gcc.*\n.*a\.c:1:\d+: error"),
    "no-entry": ({"a.c": "int f(void) { return 0; }\n"}, {}, "missing symbol LLVMFuzzerTestOneInput.*program = true"),
    "main-only": ({"a.c": MAIN}, {}, "missing symbol LLVMFuzzerTestOneInput.*a.c has a main.*program = true"),
    "main-too": ({"a.c": HARNESS, "b.c": MAIN}, {}, "b.c defines main: a harness has no main"),
    "two-mains": ({"a.c": MAIN, "b.c": MAIN}, {"kind": TargetKind.PROGRAM}, "main is defined 2 times: a.c, b.c"),
    "two-entries": ({"a.c": HARNESS, "b.c": HARNESS}, {}, "defined 2 times: a.c, b.c"),
    "harness-as-program": ({"a.c": HARNESS}, {"kind": TargetKind.PROGRAM}, "remove `program = true`"),
    "undefined": ({"a.c": HARNESS + "int g(void);\nint f(void) { return g(); }\n"}, {}, "`g'.*\n*(.*\n)*.*-lNAME"),
    "header": ({"a.c": '#include "absent.h"\n' + HARNESS}, {}, "absent.h(.*\n)*.*-I folders"),
}


@pytest.mark.needs("gcc")
@pytest.mark.parametrize("case", REFUSALS)
def test_refusals_say_what_and_how_to_go_on(make: Callable[..., Build], case: str) -> None:
    files, options, message = REFUSALS[case]
    with pytest.raises(BuildError, match=message):
        make(files, **options)


@pytest.mark.needs("gcc")
def test_target_in_which_no_guard_can_fire(make: Callable[..., Build]) -> None:
    harmless = "#include <stdint.h>\n#include <stddef.h>\n"
    harmless += "int LLVMFuzzerTestOneInput(const uint8_t *d, size_t n) { return n && *d == 7; }\n"
    with pytest.raises(UnguardedTarget, match="--unguarded"):
        make({"a.c": harmless})
    assert not make({"a.c": harmless}, allow_unguarded=True).proof.guarded


def test_command_and_python_targets_are_not_compiled(tmp_path: Path) -> None:
    command = Target(name="c", kind=TargetKind.COMMAND, root=tmp_path, command=("cat", "@@"), input=InputMode.FILE)
    made = build(command, cache=tmp_path / "cache")
    assert made.compiler == "none"
    assert made.executable == Path(str(shutil.which("cat")))
    assert made.proof.pie
    python = build(Target(name="p", kind=TargetKind.PYTHON, root=tmp_path, harness="a:b"), cache=tmp_path / "cache")
    assert python.executable == Path(sys.executable)
    (tmp_path / "own.sh").write_text("#!/bin/sh\n")
    (tmp_path / "own.sh").chmod(0o755)
    own = Target(name="o", kind=TargetKind.COMMAND, root=tmp_path, command=("./own.sh",))
    assert not build(own, cache=tmp_path / "cache").proof.guarded
    with pytest.raises(BuildError, match="'no-such-program' is no executable in PATH"):
        absent = Target(name="a", kind=TargetKind.COMMAND, root=tmp_path, command=("no-such-program",))
        build(absent, cache=tmp_path / "cache")


@pytest.mark.needs("gcc")
def test_choice_of_the_compiler(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CC", "false")
    assert toolchain.choose("gcc").name == "gcc"
    monkeypatch.setenv("FIREDAMP_CC", "gcc -m64")
    assert toolchain.choose().command == ("gcc", "-m64")
    monkeypatch.setenv("FIREDAMP_CC", "false")
    with pytest.raises(ToolMissing, match="'false': does not compile an empty file"):
        toolchain.choose()
    assert toolchain.choose("gcc").name == "gcc"  # what is asked for by name goes before the variable


@pytest.mark.slow
@pytest.mark.needs("zig")
def test_zig(make: Callable[..., Build], tmp_path: Path) -> None:
    made = make({"a.c": HARNESS}, compiler="zig")
    assert made.proof.canary
    assert made.proof.coverage
    (tmp_path / "bad").write_bytes(b"x" * 301)
    assert b"stack smashing detected" in run(made, tmp_path / "bad").stderr
    with pytest.raises(ToolMissing, match="has no AddressSanitizer"):
        make({"a.c": HARNESS}, compiler="zig", profile=Profile.ASAN)
