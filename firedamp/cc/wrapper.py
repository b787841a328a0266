"""firedamp-cc and firedamp-c++: a compiler for builds that know nothing of us (CC=firedamp-cc ./configure && make).

Adds the flags of a profile and the objects of the runtime to a command line, and becomes the compiler. Code is compiled
for a process of its own, unless -fsanitize=fuzzer or fuzzer-no-link says that libFuzzer drives it, as clang has it.
A harness becomes an executable that replays its arguments and carries the library that libFuzzer loads in a section.

Called thousands of times by a build: nothing but Python's own library is imported once the kit is known.
"""

import json
import os
import subprocess
import sys
import tempfile
import zlib
from pathlib import Path
from typing import Any

from firedamp.cc.words import Step, Words, parse, split

SECTION = ".firedamp_library"  # of a harness: its target.so. Not loaded; cp, mv and strip keep it
CARRIER = f'.section {SECTION},"",@progbits\n.incbin "%s"\n.section .note.GNU-stack,"",@progbits\n'
ASKED = ("FIREDAMP_CC", "FIREDAMP_PROFILE", "PATH", "XDG_CACHE_HOME", "HOME")  # what decides which kit it is
EXTRA = "FIREDAMP_CFLAGS"  # words for every compilation, where a makefile's own CFLAGS do not reach
FOR_PROGRAMS = b"__sanitizer_cov_trace_pc\0"  # named by code that was compiled for a process of its own
FOR_LIBFUZZER = b"__sancov_cntrs\0"  # the section of counters


def main() -> int:
    """The console script firedamp-cc."""
    return _installed("firedamp-cc")


def main_cxx() -> int:
    """The console script firedamp-c++."""
    return _installed("firedamp-c++")


def launch() -> int:
    """`python -c ... KIT NAME WORDS`: what kit.launchers writes."""
    kit, name, *words = sys.argv[1:]
    return run(json.loads(Path(kit).read_text()), name, words)


def _installed(name: str) -> int:
    memory = Path(tempfile.gettempdir(), f"firedamp-cc-{os.getuid()}-{_key():08x}.json")
    kit = _remembered(memory)
    if kit is None:
        from firedamp.cc.kit import of_environment
        from firedamp.errors import FiredampError

        try:
            path = of_environment(dict(os.environ))
        except FiredampError as error:
            print(f"{name}: {error}", file=sys.stderr)
            return error.exit_code
        kit = json.loads(path.read_text())
        _remember(memory, path)
    return run(kit, name, sys.argv[1:])


def _key() -> int:
    """Of everything that decides which kit it is: the environment, and firedamp's own files."""
    home = Path(__file__).parents[1]
    files = (home / "building" / "profiles.py", home / "cc" / "kit.py", *sorted((home / "runtime").iterdir()))
    facts = (sys.prefix, *map(os.environ.get, ASKED), *((path.name, path.stat().st_mtime_ns) for path in files))
    return zlib.crc32(repr(facts).encode())


def _remembered(memory: Path) -> dict[str, Any] | None:
    try:
        if memory.lstat().st_uid != os.getuid():  # the folder is everybody's
            return None
        kit: dict[str, Any] = json.loads(Path(memory.read_text()).read_text())
        return kit if os.stat(kit["cc"][0]).st_mtime_ns == kit["compiler_mtime_ns"] else None  # noqa: PTH116
    except (OSError, ValueError, LookupError):
        return None


def _remember(memory: Path, kit: Path) -> None:
    draft = memory.with_suffix(f".{os.getpid()}")
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as stream:
        stream.write(str(kit))
    draft.replace(memory)


def run(kit: dict[str, Any], name: str, given: list[str]) -> int:
    """Becomes the compiler, or links a harness. `kit`: as kit.Kit."""
    driver: list[str] = kit["cxx"] if name.endswith("++") else kit["cc"]
    if not driver:
        print(f"{name}: {kit['name']} has no C++ driver here; apt-get install g++", file=sys.stderr)
        return 3
    words = parse(given, lambda path: Path(path).read_text())
    kind = "harness" if words.fuzzed else kit["kind"]
    flags = [*kit["compile"][kind], *split(os.environ.get(EXTRA, ""))] if words.compiles else []
    if words.step is Step.HARNESS:
        return _harness(kit, name, driver, words, flags)
    return _become([*driver, *(given if words.step is Step.QUERY else _ordinary(kit, words, kind, flags))])


def _ordinary(kit: dict[str, Any], words: Words, kind: str, flags: list[str]) -> list[str]:
    """The compiler's words, for all but harnesses."""
    match words.step:
        case Step.LIBRARY if kind == "harness":  # the input is known to the harness alone, so no guard asks for it
            return [*words.words, *flags, *kit["bare"], *kit["linked"]["FUZZED_LIBRARY"], "-o", words.output]
        case Step.LIBRARY:
            return [*words.words, *flags, *kit["bare"], *kit["linked"]["LIBRARY"], *kit["guards"], "-o", words.output]
        case Step.PROGRAM:
            ours = (*_executable(kit, words), *kit["linked"]["PROGRAM"], *_guards(kit, words))
            return [*words.words, *flags, *ours, "-o", words.output]
        case _:
            return [*words.words, *flags]


def _executable(kit: dict[str, Any], words: Words) -> list[str]:
    return [word for word in kit["executable"] if word != "-pie" or not words.position_chosen]


def _guards(kit: dict[str, Any], words: Words) -> list[str]:
    """A static program has no second definition to which ours could pass a call on."""
    return [] if {"-static", "-static-pie"} & set(words.words) else kit["guards"]


def _harness(kit: dict[str, Any], name: str, driver: list[str], words: Words, flags: list[str]) -> int:
    """Linked twice, as building.build links a harness: what libFuzzer drives, and what replays one input."""
    stray = next((path for path in words.inputs if _is_for_programs(path)), None)
    if stray is not None:
        print(
            f"{name}: {stray}: was compiled for a program of its own, so libFuzzer would not see what it covers;"
            " compile it with -fsanitize=fuzzer-no-link too (in CFLAGS; in firedamp.toml remove `program = true`)",
            file=sys.stderr,
        )
        return 1
    with tempfile.TemporaryDirectory(prefix="firedamp-cc-") as folder:
        carried: list[str] = []
        if kit["linked"]["TARGET"]:
            library, carrier = Path(folder, "target.so"), Path(folder, "library.s")
            inner = [word for word in words.words if word not in ("-static", "-pie", "-no-pie", "-static-pie")]
            ours = (*kit["linked"]["TARGET"], *kit["guards"])
            link = [*driver, *kit["library"], *inner, *flags, *ours, "-o", str(library)]
            carrier.write_text(CARRIER % library)
            carried = [f"{folder}/library.o"]
            status = _call(link) or _call([*kit["cc"], "-c", str(carrier), "-o", carried[0]])
            if status:
                return status
        objects = [*kit["linked"]["HARNESS"], *carried, *_guards(kit, words)]
        return _call([*driver, *_executable(kit, words), *words.words, *flags, *objects, "-o", words.output])


def _is_for_programs(path: str) -> bool:
    if not path.endswith((".o", ".a")):
        return False
    try:
        content = Path(path).read_bytes()
    except OSError:
        return False  # the linker will say it
    return FOR_PROGRAMS in content and FOR_LIBFUZZER not in content


def _call(command: list[str]) -> int:
    return subprocess.run(command, check=False).returncode


def _become(command: list[str]) -> int:
    sys.stdout.flush()
    os.execvp(command[0], command)
