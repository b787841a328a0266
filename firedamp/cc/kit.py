"""All that firedamp-cc needs to know of a compiler and a profile, worked out once and kept as one JSON file.

Flags come from profiles.py, as those of the `sources` of a target do. The objects that go into each kind of link are
compiled beforehand, since a wrapper that is called a thousand times has no time to ask.
"""

import dataclasses
import json
import os
import shlex
import sys
import tempfile
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from firedamp.building import profiles, toolchain
from firedamp.building.cache import digest, find_user_cache, scratch
from firedamp.building.runtime_objects import archive, compile_runtime, runtime_digest, tools
from firedamp.building.toolchain import Compiler
from firedamp.errors import UsageError
from firedamp.suggestion import did_you_mean
from firedamp.target import Profile, TargetKind

KINDS = (TargetKind.PROGRAM, TargetKind.HARNESS)
OFF = "coverage_off.c"
SHARED = ("-DFIREDAMP_SHARED_OBJECT",)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Kit:
    """`compile`, `linked`: by kind of target. `linked` are the objects of each kind of link, by Step's name."""

    cc: tuple[str, ...]
    cxx: tuple[str, ...]  # empty: there is none
    name: str
    compile: dict[str, tuple[str, ...]]
    bare: tuple[str, ...]  # of a link that compiles too: without the sanitizer's runtime that -fsanitize=fuzzer brings
    executable: tuple[str, ...]
    library: tuple[str, ...]
    linked: dict[str, tuple[str, ...]]  # of programs with what ld needs to put some of them in the way
    guards: tuple[str, ...]  # an archive behind everything else, but in static programs
    kind: str  # of code that says nothing of -fsanitize=fuzzer
    compiler_mtime_ns: int


def make(compiler: Compiler, profile: Profile, cache: Path, *, kind: TargetKind = TargetKind.PROGRAM) -> Path:
    """The file that holds it, made where it is not there."""
    flags = {each.value: _flags(compiler, profile, each, cache) for each in KINDS}
    facts = (runtime_digest(), str(compiler), *compiler.command, profile, kind, repr(flags))
    folder = cache / "cc" / digest(facts)[:16]
    path = folder / "kit.json"
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True)
        kit = _kit(compiler, profile, flags, folder, kind)
        draft = scratch(path)
        draft.write_text(json.dumps(dataclasses.asdict(kit), indent=1))
        draft.replace(path)
    return path


def of_environment(environment: dict[str, str]) -> Path:
    """As $FIREDAMP_CC and $FIREDAMP_PROFILE say, in the user's own cache."""
    word = environment.get("FIREDAMP_PROFILE") or Profile.HARDENED.value
    known = tuple(profile.value for profile in Profile)
    if word not in known:
        raise UsageError(f"FIREDAMP_PROFILE={word!r}: is no profile{did_you_mean(word, known)} ({', '.join(known)})")
    return make(toolchain.choose(), Profile(word), _home(environment))


def launchers(kit: Path) -> tuple[Path, Path]:
    """firedamp-cc and firedamp-c++ as scripts that know their kit: no environment is asked, so none can be lost."""
    home = Path(__file__).parents[2]
    paths = (kit.parent / "firedamp-cc", kit.parent / "firedamp-c++")
    for path in paths:
        if not path.exists():
            draft = scratch(path)
            program = f"import sys; sys.path.append({str(home)!r}); from firedamp import cc; sys.exit(cc.launch())"
            start = shlex.join((sys.executable, "-I", "-S", "-c", program, str(kit), path.name))
            draft.write_text(f'#!/bin/sh\nexec {start} "$@"\n')
            draft.chmod(0o755)
            draft.replace(path)
    return paths


def _home(environment: dict[str, str]) -> Path:
    """The user's cache, or a private folder beside other temporary files where there is none to write to."""
    home = find_user_cache(environment)
    with suppress(OSError):
        if home is not None:
            home.mkdir(parents=True, exist_ok=True)
            return home
    home = Path(tempfile.gettempdir(), f"firedamp-{os.getuid()}")
    home.mkdir(mode=0o700, exist_ok=True)
    if home.stat().st_uid != os.getuid():
        raise UsageError(f"{home} belongs to somebody else; set XDG_CACHE_HOME to a folder of yours")
    return home


def _flags(compiler: Compiler, profile: Profile, kind: TargetKind, cache: Path) -> tuple[str, ...]:
    """What an object will be linked into is not known when it is compiled, so it can go anywhere."""
    quiet = ("-Wno-unused-command-line-argument",) if compiler.name != "gcc" else ()
    flags = (*profiles.compile_flags(compiler, profile, kind, tools(cache)), *quiet)
    return tuple("-fPIC" if flag == "-fPIE" else flag for flag in flags)


def _kit(
    compiler: Compiler, profile: Profile, flags: dict[str, tuple[str, ...]], folder: Path, kind: TargetKind
) -> Kit:
    program, _ = profiles.runtime_sources(compiler, profile, TargetKind.PROGRAM)
    strings, wraps = profiles.wrapping(compiler, profile, TargetKind.PROGRAM)
    replay, target = profiles.runtime_sources(compiler, profile, TargetKind.HARNESS)
    alone = tuple(name for name in replay if name not in ("replay.c", "serve.c", OFF))
    counters = tuple(name for name in target if name == "gcc_coverage.c")
    hardened = (OFF,) if OFF in replay else ()
    bare = ("-fno-sanitize-link-runtime",) if compiler.name == "clang" and profile is not Profile.ASAN else ()

    def objects(names: Iterable[str], extra: tuple[str, ...] = ()) -> tuple[str, ...]:
        return tuple(_object(compiler, name, folder, extra) for name in dict.fromkeys(names))

    counting = ("reached.c",) if profile is Profile.COVERAGE else ()
    guards = tuple(map(Path, objects(profiles.guard_sources(profile, ()))))
    weak = objects(hardened, ("-fvisibility=default",))
    return Kit(
        cc=compiler.command,
        cxx=compiler.cxx_command or (),
        name=compiler.name,
        compile=flags,
        executable=(*profiles.link_flags(compiler, profile), *bare),
        library=(*profiles.library_flags(compiler), *bare),
        bare=bare,
        linked={
            "PROGRAM": (*wraps, *objects((*program, *strings, *hardened, *alone))),
            "HARNESS": objects(replay),
            "TARGET": objects(target),
            "LIBRARY": (*objects((*program, *alone, *counting), SHARED), *weak),
            "FUZZED_LIBRARY": (*objects((*counters, *alone, *counting), SHARED), *weak),
        },
        guards=(str(archive(compiler, guards, folder / "guards.a")),) if guards else (),
        kind=kind.value,
        compiler_mtime_ns=Path(compiler.command[0]).stat().st_mtime_ns,
    )


def _object(compiler: Compiler, name: str, folder: Path, extra: tuple[str, ...]) -> str:
    mark = digest(extra)[:6] if extra else "plain"
    path = folder / f"{name}-{mark}.o"
    return str(path if path.exists() else compile_runtime(compiler, name, path, extra))
