"""What is wrong with a target that cannot be built, in words that a user can act on. Reads no file, runs nothing."""

from collections.abc import Mapping
from pathlib import Path

from firedamp.building.proof import Names, describe
from firedamp.errors import BuildError
from firedamp.target import Build, TargetKind

ENTRY = "LLVMFuzzerTestOneInput"
SHOWN_LINES = 12


def check_entries(name: str, kind: TargetKind, tables: Mapping[str, Names]) -> None:
    """`tables`: source -> symbols of its object. BuildError where the target has no entry of its kind, or several."""
    mains, entries = _definers(tables, "main"), _definers(tables, ENTRY)
    where = f"target {name}"
    if kind is TargetKind.HARNESS:
        if mains and not entries:
            raise BuildError(
                f"{where}: missing symbol {ENTRY}: no source defines it, but {mains[0]} has a main;"
                " for a program with its own main write `program = true`"
            )
        if mains:
            raise BuildError(
                f"{where}: {entries[0]} defines {ENTRY} and {mains[0]} defines main: a harness has no main of its"
                f" own; leave {mains[0]} out of `sources`, or rename it with `cflags = ['-Dmain=other_main']`"
            )
    elif entries and not mains:
        raise BuildError(f"{where}: no source has a main but {entries[0]} has {ENTRY}: remove `program = true`")
    for symbol, definers in (("main", mains), (ENTRY, entries)):
        if len(definers) > 1:
            raise BuildError(
                f"{where}: {symbol} is defined {len(definers)} times: {', '.join(definers)};"
                " one target has one; narrow the globs of `sources`"
            )


def _definers(tables: Mapping[str, Names], symbol: str) -> list[str]:
    return [source for source, table in tables.items() if symbol in table.defined]


def unguarded(made: Build) -> str:
    shown = describe(made.proof).splitlines()[0]
    return (
        f"target {made.target.name}: no guard of ours could fire in it ({shown}), although {made.compiler} was told to"
        " put them in. Code without arrays on the stack and without string functions of known size looks like this:"
        " if that is meant, pass --unguarded"
    )


def first_errors(stderr: str) -> str:
    lines = stderr.splitlines()
    start = next((number for number, line in enumerate(lines) if "error" in line or "undefined" in line), 0)
    return "\n".join(lines[start : start + SHOWN_LINES])


def remedy(stderr: str, root: Path) -> str:
    if ENTRY in stderr and "undefined" in stderr:
        return f"missing symbol {ENTRY}: define it, or write `program = true` for a program with its own main"
    if "undefined" in stderr and ("reference" in stderr or "symbol" in stderr):
        return "add the source that defines it to `sources`, or its library to `ldflags` (-lNAME)"
    if "multiple definition" in stderr or "duplicate symbol" in stderr:
        return "two sources define the same symbol: narrow the globs of `sources`"
    if "implicit declaration" in stderr or "undeclared function" in stderr:
        return "old C: add '-Wno-implicit-function-declaration' (or '-std=gnu89') to `cflags`"
    if "file not found" in stderr or "No such file" in stderr:
        return f"add -I folders relative to {root} to `cflags`; generate headers in `prepare`"
    if "libasan" in stderr or "libclang_rt" in stderr:
        return "the compiler's sanitizer runtime is missing: apt-get install libclang-rt-dev (clang) or libasan8 (gcc)"
    return "correct the source or `cflags` and `ldflags` of the target, or try another --compiler"
