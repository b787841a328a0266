"""Proofs read from files of this machine and from small hand-made ones."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from firedamp.building.proof import FORTIFIED, describe, names, prove
from firedamp.target import Proof

SOURCE = """
#include <stdio.h>
#include <string.h>
int main(int argc, char **argv) {
  char text[16];
  strcpy(text, argv[0] + argc);
  return puts(text) < 0;
}
"""


def compiled(folder: Path, *flags: str) -> Path:
    source, output = folder / "a.c", folder / "a.out"
    source.write_text(SOURCE)
    subprocess.run(["gcc", "-O1", "-w", "-U_FORTIFY_SOURCE", *flags, str(source), "-o", str(output)], check=True)
    return output


@pytest.mark.needs("gcc")
def test_guards_that_are_there(tmp_path: Path) -> None:
    proof = prove(compiled(tmp_path, "-fstack-protector-strong", "-D_FORTIFY_SOURCE=2", "-pie", "-fPIE", "-Wl,-z,now"))
    assert proof == Proof(canary=True, fortified=("__strcpy_chk",), pie=True, relro="full")


@pytest.mark.needs("gcc")
def test_guards_that_are_not_there(tmp_path: Path) -> None:
    proof = prove(compiled(tmp_path, "-fno-stack-protector", "-no-pie", "-Wl,-z,norelro"))
    assert proof == Proof(canary=False, unfortified=("strcpy",))
    assert not proof.guarded


@pytest.mark.needs("gcc")
def test_relro_without_bind_now_is_partial(tmp_path: Path) -> None:
    assert prove(compiled(tmp_path, "-Wl,-z,relro,-z,lazy")).relro == "partial"


@pytest.mark.needs("gcc")
def test_static_binary_is_read_by_its_symbols(tmp_path: Path) -> None:
    proof = prove(compiled(tmp_path, "-static", "-fstack-protector-strong", "-D_FORTIFY_SOURCE=2"))
    assert proof.canary
    assert "__strcpy_chk" in proof.fortified


@pytest.mark.needs("gcc")
@pytest.mark.parametrize("kind", ["rcs", "rcsT"])
def test_a_guard_in_an_archive_counts_where_it_is_linked(tmp_path: Path, kind: str) -> None:
    """The second archive has guards too, but nobody asks for what is in it."""
    sources = {
        "main": "void copy_it(const char *); int main(int c, char **v) { copy_it(v[c - 1]); return 0; }",
        "a_copy_with_a_long_name": "#include <string.h>\n#include <stdio.h>\n"
        "void copy_it(const char *v) { char t[16]; strcpy(t, v); puts(t); }",
        "unused": "void look(char *); void idle(int n) { char t[16]; t[n] = 1; look(t); }",
    }
    for name, text in sources.items():
        (tmp_path / f"{name}.c").write_text(text)
        guard = "-fno-stack-protector" if name == "main" else "-fstack-protector-strong"
        command = ["gcc", "-O1", guard, "-D_FORTIFY_SOURCE=2", "-c", f"{name}.c"]
        subprocess.run(command, cwd=tmp_path, check=True)
    for archive, member in (("liba.a", "a_copy_with_a_long_name.o"), ("libb.a", "unused.o")):
        subprocess.run(["ar", kind, archive, member], cwd=tmp_path, check=True, capture_output=True)
    subprocess.run(["gcc", "main.o", "liba.a", "libb.a", "-o", "program"], cwd=tmp_path, check=True)
    program, main = tmp_path / "program", tmp_path / "main.o"
    assert not prove(program, (main,)).guarded
    assert not prove(program, (main, tmp_path / "libb.a")).guarded
    proof = prove(program, (main, tmp_path / "liba.a", tmp_path / "libb.a"))
    assert proof.canary
    assert proof.fortified == ("__strcpy_chk",)


@pytest.mark.needs("gcc")
def test_stripped_binary_still_shows_its_imports(tmp_path: Path) -> None:
    program = compiled(tmp_path, "-fstack-protector-strong", "-D_FORTIFY_SOURCE=2")
    before = prove(program)
    subprocess.run(["strip", str(program)], check=True)
    assert prove(program) == before


@pytest.mark.needs("gcc")
def test_objects_leave_out_what_was_linked_beside_them(tmp_path: Path) -> None:
    program = compiled(tmp_path, "-fstack-protector-strong")
    (tmp_path / "empty.c").write_text("")
    subprocess.run(["gcc", "-c", "empty.c"], cwd=tmp_path, check=True)
    assert prove(program).guarded
    assert not prove(program, (tmp_path / "empty.o",)).guarded


@pytest.mark.needs("gcc")
def test_sanitizers_are_named(tmp_path: Path) -> None:
    assert prove(compiled(tmp_path, "-fsanitize=address,undefined")).sanitizers == ("address", "undefined")


def test_installed_program() -> None:
    found = shutil.which("cat")
    assert found is not None
    proof = prove(Path(found))
    assert proof.pie
    assert proof.relro in {"partial", "full"}


@pytest.mark.parametrize("content", [b"", b"#!/bin/sh\nexit 0\n", b"\x7fELF", b"\x7fELF\x02\x01\x01" + bytes(60)])
def test_what_is_no_elf_has_no_guards(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "script"
    path.write_bytes(content)
    assert prove(path) == Proof(canary=False)
    assert not names(path).every


def test_damaged_elf_is_no_exception(tmp_path: Path) -> None:
    whole = Path(sys.executable).resolve().read_bytes()
    path = tmp_path / "cut"
    path.write_bytes(whole[: len(whole) // 3])
    assert not prove(path).guarded


def test_missing_file_is_an_error_of_ours(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        prove(tmp_path / "absent")


@pytest.mark.needs("gcc")
def test_the_list_of_fortified_functions_is_glibcs() -> None:
    libc = Path(subprocess.run(["gcc", "-print-file-name=libc.so.6"], capture_output=True, text=True).stdout.strip())
    exported = {name[2:-4] for name in names(libc).every if name.startswith("__") and name.endswith("_chk")}
    missing = {"strcpy", "memcpy", "sprintf", "printf", "read", "vasprintf", "fdelt"} - (exported & FORTIFIED)
    assert not missing


def test_description_names_what_is_missing() -> None:
    text = describe(Proof(canary=False, unfortified=("strcpy",), relro="partial", pie=True))
    assert text == (
        "no stack canary, nothing fortified, no formats checked, no coverage, PIE, partial RELRO\n"
        "without a guard in some calls: strcpy"
    )
