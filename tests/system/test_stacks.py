"""Stacks of real processes: the same as libunwind's, and right where a program has just died."""

import json
import shutil
import subprocess
import sys
from ctypes.util import find_library
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.needs("ptrace")

STOPS = Path(__file__).with_name("stops.py")
COMMANDS = (
    ("sort", "/etc/passwd"),
    ("find", "/usr/share/doc", "-maxdepth", "1"),
    ("bash", "-c", "echo $(( 1 + 1 ))"),
    ("git", "--version"),
    ("perl", "-e", "print 1"),
    ("sqlite3", ":memory:", "select 1"),
    ("ls", "-l", "/"),
)
SOURCES = {
    "null_call": """
static void (*volatile target)(void);
__attribute__((noinline)) void caller(void) { target(); puts(""); }
int main(void) { caller(); return puts(""); }
""",
    "in_a_handler": """
static int *volatile nowhere;
void handler(int number) { *nowhere = number; puts(""); }
__attribute__((noinline)) void work(void) { raise(SIGUSR1); puts(""); }
int main(void) {
  static char room[65536]; stack_t other = {.ss_sp = room, .ss_size = sizeof room};
  struct sigaction action = {.sa_handler = handler, .sa_flags = SA_ONSTACK};
  sigaltstack(&other, 0); sigaction(SIGUSR1, &action, 0); work(); return puts(""); }
""",
    "assembly_without_cfi": """
__asm__(".text\\n.globl bare\\n.type bare,@function\\nbare: ud2\\n.size bare, .-bare\\n");
void bare(void);
__attribute__((noinline)) void caller(void) { bare(); puts(""); }
int main(void) { caller(); return puts(""); }
""",
    "stack_exhaustion": """
__attribute__((noinline)) int deep(volatile int *p) { volatile int now = *p + 1; return deep(&now) + now; }
int main(void) { volatile int first = 0; return deep(&first); }
""",
}
FUNCTIONS: dict[str, list[str | None]] = {  # from the innermost on; None: a place without a name
    "null_call": [None, "caller", "main"],
    "assembly_without_cfi": ["bare", "caller", "main"],
    "stack_exhaustion": ["deep"] * 64,
}


def run(mode: str, *arguments: str | Path) -> Any:
    done = subprocess.run([sys.executable, STOPS, mode, *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def compile_program(folder: Path, name: str, *flags: str) -> Path:
    source = folder / f"{name}.c"
    source.write_text(f"#include <signal.h>\n#include <stdio.h>\n#include <unistd.h>\n{SOURCES[name]}")
    program = folder / name
    subprocess.run(["gcc", "-g", "-O1", "-fno-optimize-sibling-calls", *flags, "-o", program, source], check=True)
    return program


@pytest.mark.skipif(find_library("unwind-ptrace") is None, reason="needs libunwind-ptrace")
@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command[0])
def test_every_stack_is_that_of_libunwind(command: tuple[str, ...]) -> None:
    if shutil.which(command[0]) is None:
        pytest.skip(f"needs {command[0]}")
    facts = run("compare", "1", "100", *command)
    assert facts["different"] == []
    assert facts["compared"] >= 50
    assert facts["distinct"] >= 10


@pytest.mark.needs("gcc")
@pytest.mark.parametrize(
    "flags", [(), ("-static",), ("-static-pie",), ("-fomit-frame-pointer", "-no-pie")], ids=" ".join
)
@pytest.mark.parametrize("name", SOURCES)
def test_the_stack_of_a_dying_program(tmp_path: Path, name: str, flags: tuple[str, ...]) -> None:
    frames = run("crash", compile_program(tmp_path, name, *flags))
    functions = [function for _, function, *_ in frames]
    if name == "in_a_handler":  # glibc's internal names depend on the version and on its debug symbols
        assert functions[0] == "handler"
        assert functions[functions.index("work") :][:2] == ["work", "main"]
        assert 3 <= functions.index("work") <= 6
    else:
        assert functions[: len(FUNCTIONS[name])] == FUNCTIONS[name]
    assert [own for module, _, _, own, _ in frames if module == "[anon]"] == [False] * (name == "null_call")


@pytest.mark.needs("gcc")
def test_a_program_that_removed_its_own_file_is_read_from_memory(tmp_path: Path) -> None:
    program = compile_program(tmp_path, "null_call")
    expected = run("crash", program)
    subprocess.run(
        ["gcc", "-g", "-O1", "-Dmain=real_main", "-c", "-o", tmp_path / "real.o", tmp_path / "null_call.c"], check=True
    )
    shell = tmp_path / "gone.c"
    shell.write_text(
        "#include <unistd.h>\nint real_main(void);\n"
        "int main(int c, char **v) { unlink(v[0]); return real_main() + c; }\n"
    )
    gone = tmp_path / "gone"
    subprocess.run(["gcc", "-O1", "-o", gone, shell, tmp_path / "real.o"], check=True)
    frames = run("crash", gone)
    assert not gone.exists()
    assert len(frames) == len(expected) + 1
    assert [module for module, *_ in frames[1:4]] == [str(gone)] * 3


@pytest.mark.needs("gcc")
def test_a_smashed_stack_ends_early_and_nothing_is_made_up(tmp_path: Path) -> None:
    source = tmp_path / "smash.c"
    source.write_text(
        "#include <string.h>\n"
        "__attribute__((noinline)) void smash(void) {\n"
        "  volatile char here[16]; memset((char *)here, 'A', 4096); __builtin_trap(); }\n"
        "int main(void) { char room[8192]; memset(room, 0, sizeof room); smash(); return room[1]; }\n"
    )
    program = tmp_path / "smash"
    subprocess.run(["gcc", "-g", "-O0", "-w", "-fno-stack-protector", "-o", program, source], check=True)
    assert [function for _, function, *_ in run("crash", program)] == ["smash"]
