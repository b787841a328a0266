"""Targets whose binaries their project's own build made, with firedamp-cc in the place of the compiler."""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from firedamp.building import toolchain
from firedamp.building.build import build
from firedamp.errors import BuildError
from firedamp.target import Build, Profile, Target, TargetKind

MAKEFILE = """
all: tool fuzz
tool: tool.o words.o
\t$(CC) -o $@ tool.o words.o
fuzz: fuzz.o words.o
\t$(CC) -o $@ fuzz.o words.o $(LIB_FUZZING_ENGINE)
%.o: %.c
\t$(CC) -O2 -c $< -o $@
"""
WORDS = Path(__file__).parents[1] / "targets" / "words"
COMPILERS = [
    pytest.param("gcc", marks=pytest.mark.needs("gcc", "make")),
    pytest.param("clang", marks=pytest.mark.needs("clang", "make")),
]


@pytest.fixture
def project(tmp_path: Path) -> Path:
    root = tmp_path / "project"
    shutil.copytree(WORDS, root)
    (root / "Makefile").write_text(MAKEFILE)
    return root


def made(
    root: Path,
    kind: TargetKind,
    artifact: str,
    compiler: str = "gcc",
    profile: Profile = Profile.HARDENED,
    make: str = "make {}",
) -> Build:
    target = Target(name="words", kind=kind, root=root, prepare=(make.format(artifact),), artifact=artifact)
    return build(target, profile, compiler=compiler, cache=root.parent / "cache")


@pytest.mark.parametrize("compiler", COMPILERS)
def test_a_program(project: Path, compiler: str) -> None:
    first = made(project, TargetKind.PROGRAM, "tool", compiler)
    assert first.proof.guarded and first.proof.coverage and first.proof.formats and first.library is None
    assert subprocess.run([first.executable], input=b"COPY" + b"a" * 40, capture_output=True).returncode == -6
    assert subprocess.run([first.executable], input=b"COPY", capture_output=True).stdout == b"1\n"
    assert made(project, TargetKind.PROGRAM, "tool", compiler).digest == first.digest
    assert not (project / "tool").exists()


@pytest.mark.parametrize("compiler", COMPILERS)
def test_a_harness(project: Path, compiler: str) -> None:
    ours = made(project, TargetKind.HARNESS, "fuzz", compiler)
    assert ours.library is not None
    assert ours.proof.guarded and ours.proof.coverage
    units = subprocess.run(["readelf", "--debug-dump=info", str(ours.library)], capture_output=True, text=True).stdout
    assert re.search(rf"DW_AT_comp_dir .*{re.escape(str(project))}$", units, re.MULTILINE)  # the user's own files
    assert "/cache/prepared/" not in units
    plain = made(project, TargetKind.HARNESS, "fuzz", compiler, Profile.PLAIN)
    assert plain.library is None and not plain.proof.guarded


@pytest.mark.needs("gcc", "make")
@pytest.mark.parametrize(
    ("kind", "artifact", "make", "words"),
    [
        (TargetKind.HARNESS, "tool", "make {}", "link it by `\\$CC -fsanitize=fuzzer`"),
        (TargetKind.PROGRAM, "fuzz", "make {}", "remove `program = true`"),
        (TargetKind.PROGRAM, "fuzz", 'make {} CC="$CC -fsanitize=fuzzer-no-link"', "remove `program = true`"),
        (TargetKind.PROGRAM, "words.o", "make {}", "was not made by `prepare`"),
    ],
)
def test_what_is_no_artifact(project: Path, kind: TargetKind, artifact: str, make: str, words: str) -> None:
    with pytest.raises(BuildError, match=words):
        made(project, kind, artifact, make=make)


def test_a_script_is_no_artifact(project: Path) -> None:
    (project / "wrapper").write_text("#!/bin/sh\nexec .libs/tool\n")
    (project / "wrapper").chmod(0o755)
    target = Target(name="words", kind=TargetKind.PROGRAM, root=project, artifact="wrapper")
    with pytest.raises(BuildError, match="--disable-shared"):
        build(target, cache=project.parent / "cache", compiler=toolchain.find_compilers()[0].name)


@pytest.mark.needs("gcc", "make", "ptrace")
@pytest.mark.parametrize("name", ["library", "program"])
def test_found_from_the_command_line(project: Path, name: str) -> None:
    (project / "firedamp.toml").write_text(
        '[targets.library]\nprepare = ["make fuzz"]\nartifact = "fuzz"\nseeds = "seeds"\nmax_len = 64\n'
        '[targets.program]\nprogram = true\nprepare = ["make tool"]\nartifact = "tool"\nseeds = "seeds"\nmax_len = 64\n'
    )
    (project / "seeds").mkdir()
    (project / "seeds" / "one").write_bytes(b"COPY" + b"a" * 40)
    argv = [sys.executable, "-m", "firedamp", "fuzz", name, "--runs", "50", "--compiler", "gcc", "--json"]
    done = subprocess.run(argv, cwd=project, capture_output=True, text=True, timeout=250)
    assert done.returncode == 1, done.stderr
    found = json.loads(done.stdout)["findings"]
    assert {(each["kind"], each["function"], each["file"]) for each in found} == {
        ("fortify-overflow", "length_of", "words.c")
    }
