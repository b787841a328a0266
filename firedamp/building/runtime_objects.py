"""firedamp's own C, compiled: what is linked beside a target, and the assembler that gcc is given."""

import functools
import os
import shutil
import subprocess
from contextlib import suppress
from pathlib import Path

from firedamp.building import profiles, toolchain
from firedamp.building.cache import digest, file_digest, find_user_cache, scratch
from firedamp.building.refusal import first_errors
from firedamp.building.toolchain import Compiler
from firedamp.errors import ToolMissing

# `incb counter(%rip)` of edges.sed as `movb $1, flag(%rip)`, in the section that clang has for its flags.
FLAGGING = (
    ("0xfe, 0x05", "0xc6, 0x05"),
    ("901b - . - 4", "901b - . - 5\\\n\t.byte 1"),
    ("__sancov_cntrs", "__sancov_bools"),
)
RUNTIME = Path(__file__).parents[1] / "runtime"


@functools.cache
def runtime_digest() -> str:
    return digest(file_digest(path) for path in sorted(RUNTIME.iterdir()) if path.is_file())


def compile_runtime(compiler: Compiler, name: str, output: Path, extra: tuple[str, ...] = ()) -> Path:
    """The source `name` of the runtime as the object `output`."""
    return _make(compiler, ("-c", *extra), (name,), output)


def mutator(compiler: Compiler, cache: Path, *, crossing: bool) -> Path:
    """The library that libFuzzer's mutations pass through, the same for all targets: compiled once per compiler.

    `crossing`: with LLVMFuzzerCustomCrossOver, which libFuzzer uses for every other mutation where it finds one.
    """
    kind = "crossing" if crossing else "plain"
    made = tools(cache) / f"mutator-{digest((str(compiler), *compiler.command))[:12]}-{kind}.so"
    if not made.exists():
        switch = ("-DFIREDAMP_CROSS_OVER",) if crossing else ()
        _make(compiler, (*profiles.library_flags(compiler), *switch), profiles.MUTATOR, made)
    return made


def _make(compiler: Compiler, flags: tuple[str, ...], names: tuple[str, ...], output: Path) -> Path:
    """`output` appears whole or not at all. Compiled once per compiler, for all projects of a user."""
    ours = (*profiles.RUNTIME, "-fPIC", f"-ffile-prefix-map={RUNTIME}=firedamp/runtime")
    kept = _kept(compiler, (*ours, *flags, *names))
    with suppress(OSError):  # not there yet, or not ours to read
        if kept is not None:
            return _put(kept, output)
    draft = scratch(output)
    sources = (str(RUNTIME / name) for name in names)
    command = (*compiler.command, *ours, *flags, *sources, "-o", str(draft))
    run = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, errors="replace")
    if run.returncode != 0:
        raise ToolMissing(
            f"{compiler} does not compile firedamp's own runtime ({', '.join(names)}):\n{first_errors(run.stderr)}\n"
            f"{toolchain.REMEDY}"
        )
    draft.replace(output)
    with suppress(OSError):  # a home that is full or read-only: compiled again the next time
        if kept is not None:
            kept.parent.mkdir(parents=True, exist_ok=True)
            _put(output, kept)
    return output


def _kept(compiler: Compiler, flags: tuple[str, ...]) -> Path | None:
    folder = find_user_cache(os.environ)
    return folder / runtime_digest()[:12] / digest((str(compiler), *compiler.command, *flags)) if folder else None


def _put(made: Path, place: Path) -> Path:
    draft = scratch(place)
    shutil.copyfile(made, draft)
    return draft.replace(place)


def archive(compiler: Compiler, objects: tuple[Path, ...], output: Path) -> Path:
    """What a linker takes only as far as nothing before it in the command has it."""
    ar = (*compiler.command[:-1], "ar") if compiler.name == "zig" else ("ar",)
    run = subprocess.run(
        (*ar, "rcs", str(output), *map(str, objects)), capture_output=True, text=True, errors="replace"
    )
    if run.returncode != 0:
        raise ToolMissing(f"ar cannot make {output.name}:\n{first_errors(run.stderr)}\n{toolchain.REMEDY}")
    return output


def tools(cache: Path) -> Path:
    """gcc looks for its assembler here; in `reached` for the one that writes flags in place of counters.

    Copied, since an installed package may lose the executable bit.
    """
    folder = cache / "tools" / runtime_digest()[:12]
    if not (folder / "reached" / "as").exists():
        counters = (RUNTIME / "edges.sed").read_text()
        flags = counters
        for counting, flagging in FLAGGING:
            flags = flags.replace(counting, flagging)
        for place, script in ((folder, counters), (folder / "reached", flags)):
            place.mkdir(parents=True, exist_ok=True)
            for name, text, mode in (("edges.sed", script, 0o644), ("as", (RUNTIME / "as").read_text(), 0o755)):
                draft = scratch(place / name)
                draft.write_text(text)
                draft.chmod(mode)
                draft.replace(place / name)
    return folder
