"""What a project's own build made with firedamp-cc, taken as the binaries of a target. Compiles nothing."""

import os
import shutil
from pathlib import Path

from elftools.common.exceptions import ELFError
from elftools.elf.elffile import ELFFile

from firedamp.cc.wrapper import SECTION
from firedamp.errors import BuildError
from firedamp.target import Profile, Target, TargetKind


def take(target: Target, profile: Profile, tree: Path, work: Path) -> None:
    """Copies the artifact as `work`/replay and, of a harness, the library that it carries as `work`/target.so."""
    assert target.artifact is not None
    path, where = tree / target.artifact, f"target {target.name}: artifact: {target.artifact!r}"
    if not path.is_file() or not os.access(path, os.X_OK):
        made = "is no executable file below the project" if not target.prepare else "was not made by `prepare`"
        raise BuildError(f"{where} {made} (looked for {path}); build it with $CC, which is firedamp-cc there")
    library = _library(path, where)
    if target.kind is TargetKind.PROGRAM and library:
        raise BuildError(f"{where} is a harness for libFuzzer; remove `program = true`")
    if target.kind is TargetKind.HARNESS and not library and profile is Profile.HARDENED:
        raise BuildError(
            f"{where} holds nothing that libFuzzer could drive: link it by `$CC -fsanitize=fuzzer`, where $CC is"
            " firedamp-cc; for a program with its own main write `program = true`"
        )
    shutil.copy2(path, work / "replay")
    if library:
        (work / "target.so").write_bytes(library)


def carries_library(path: Path) -> bool:
    """Whether it is a harness that firedamp-cc linked."""
    try:
        return path.is_file() and os.access(path, os.X_OK) and bool(_library(path, str(path)))
    except BuildError:
        return False


def _library(path: Path, where: str) -> bytes:
    """The content of the section; nothing where there is none."""
    with path.open("rb") as stream:
        try:
            section = ELFFile(stream).get_section_by_name(SECTION)
        except ELFError:
            raise BuildError(
                f"{where} is a script and no ELF file; where libtool wrote it, configure with --disable-shared"
            ) from None
        content: bytes = section.data() if section is not None else b""
        return content
