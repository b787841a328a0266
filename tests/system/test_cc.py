"""firedamp-cc in the place of a compiler: what builds make with it, and that it links and runs."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from firedamp.building.proof import prove
from firedamp.cc.wrapper import SECTION

BIN = Path(sys.executable).parent
WORDS = Path(__file__).parents[1] / "targets" / "words"
MAKEFILE = """
tool: tool.o libwords.a
\t$(CC) -o $@ tool.o -L. -lwords
libwords.a: words.o
\tar rcs $@ words.o
%.o: %.c
\t$(CC) -O2 -MMD -c $< -o $@
"""
CMAKE = """
cmake_minimum_required(VERSION 3.13)
project(words C)
add_library(words SHARED words.c)
add_executable(tool tool.c)
target_link_libraries(tool words)
"""
COMPILERS = [
    pytest.param("gcc", marks=pytest.mark.needs("gcc")),
    pytest.param("clang", marks=pytest.mark.needs("clang")),
]
Wrapper = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture(params=COMPILERS)
def compiler(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def shell(compiler: str, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Wrapper:
    """Runs a line of shell in a folder with the sources, where CC is the wrapper."""
    shutil.copytree(WORDS, tmp_path, dirs_exist_ok=True)
    (tmp_path / "Makefile").write_text(MAKEFILE)
    (tmp_path / "CMakeLists.txt").write_text(CMAKE)
    (tmp_path / "bad").write_bytes(b"COPY" + b"a" * 40)
    (tmp_path / "good").write_bytes(b"COPY")
    home = tmp_path_factory.getbasetemp() / "cc-cache"  # the runtime is compiled once for all tests here
    environment = {
        **os.environ,
        "PATH": f"{BIN}:{os.environ['PATH']}",
        "CC": "firedamp-cc",
        "FIREDAMP_CC": compiler,
        "XDG_CACHE_HOME": str(home),
        "ZIG_GLOBAL_CACHE_DIR": os.environ.get("ZIG_GLOBAL_CACHE_DIR", str(Path.home() / ".cache" / "zig")),
        "TMPDIR": str(tmp_path_factory.getbasetemp()),
    }

    def run(line: str, check: bool = True, **extra: str) -> "subprocess.CompletedProcess[str]":
        argv = ("sh", "-euc", line)
        done = subprocess.run(argv, cwd=tmp_path, env=environment | extra, capture_output=True, text=True, timeout=250)
        assert done.returncode == 0 or not check, done.stdout + done.stderr
        return done

    return run


def crossed(tmp_path: Path, program: str) -> bool:
    """Whether a guard ended it on the bad input, and not on the good one."""
    codes = []
    for name in ("good", "bad"):
        with (tmp_path / name).open("rb") as stream:
            codes.append(
                subprocess.run([tmp_path / program, name], cwd=tmp_path, stdin=stream, capture_output=True).returncode
            )
    return codes == [0, -6]


@pytest.mark.needs("make")
def test_make_builds_a_guarded_program(shell: Wrapper, tmp_path: Path) -> None:
    shell("make")
    proof = prove(tmp_path / "tool")
    assert proof.guarded and proof.pie and proof.coverage
    assert "__wrap_memcmp" in shell("nm tool").stdout  # what it compares is seen
    assert "words.o: words.c" in (tmp_path / "words.d").read_text()
    assert crossed(tmp_path, "tool")


@pytest.mark.needs("make", "cmake")
def test_cmake_builds_a_shared_library_and_its_program(shell: Wrapper, tmp_path: Path) -> None:
    shell("cmake -S . -B made -DCMAKE_C_COMPILER=firedamp-cc && make -C made")
    assert prove(tmp_path / "made" / "libwords.so").guarded
    assert crossed(tmp_path, "made/tool")


def test_a_harness_replays_and_carries_what_libfuzzer_loads(shell: Wrapper, tmp_path: Path) -> None:
    shell("$CC -fsanitize=fuzzer-no-link -c words.c && $CC -o fuzz fuzz.c words.o -fsanitize=fuzzer")
    shell(
        f"objcopy -O binary -j {SECTION} --set-section-flags {SECTION}=alloc fuzz target.so; cp fuzz moved; strip moved"
    )
    assert prove(tmp_path / "target.so").coverage
    assert SECTION in shell("readelf -WS moved").stdout
    assert crossed(tmp_path, "moved")


def test_a_harness_of_code_for_programs_is_refused(shell: Wrapper) -> None:
    done = shell("$CC -c words.c && $CC fuzz.c words.o -fsanitize=fuzzer", check=False)
    assert done.returncode == 1
    assert "words.o: was compiled for a program of its own" in done.stderr
    assert "-fsanitize=fuzzer-no-link" in done.stderr


def test_what_configure_scripts_try(shell: Wrapper, tmp_path: Path) -> None:
    shell("$CC --version && $CC -v && $CC -dumpmachine && $CC -print-search-dirs")
    shell("echo '#include <stdio.h>' | $CC -E - | grep -q printf; echo 'int x;' | $CC -xc - -S -o x.s")
    shell(
        "echo 'int main(void) { return 0; }' > conftest.c; $CC conftest.c && ./a.out; $CC -static conftest.c && ./a.out"
    )
    shell("$CC -fsanitize=fuzzer-no-link -o conftest conftest.c && ./conftest; $CC -no-pie conftest.c -lm && ./a.out")
    shell("echo '-o \"a b\" conftest.c' > words.rsp; $CC @words.rsp && './a b'")
    failed = shell("echo 'int main(void) { return absent(); }' > absent.c; $CC absent.c", check=False)
    assert failed.returncode != 0 and "absent" in failed.stderr


def test_profiles_by_environment(shell: Wrapper, tmp_path: Path) -> None:
    shell("$CC words.c tool.c -o plain", FIREDAMP_PROFILE="plain")
    assert not prove(tmp_path / "plain").guarded
    shell("$CC words.c tool.c -o asan", FIREDAMP_PROFILE="asan")
    assert "address" in prove(tmp_path / "asan").sanitizers
    wrong = shell("$CC words.c", check=False, FIREDAMP_PROFILE="hardend")
    assert wrong.returncode == 2
    assert "did you mean hardened" in wrong.stderr


@pytest.mark.needs("zig")
@pytest.mark.parametrize("compiler", ["zig"])
def test_zig(shell: Wrapper, tmp_path: Path) -> None:
    shell("$CC -shared words.c -o libwords.so && $CC tool.c -o tool -L. -lwords -Wl,-rpath,.")
    shell("$CC -fsanitize=fuzzer fuzz.c words.c -o fuzz")
    assert crossed(tmp_path, "tool")
    assert crossed(tmp_path, "fuzz")
