"""A project of OSS-Fuzz as a project of ours: its build.sh runs unchanged, and each fuzzer in $OUT becomes a target.

Of the Dockerfile only COPY, ADD and WORKDIR are heeded: what its RUN lines fetch or make (checkouts, archives of seeds)
is in the folder that the user gives as $SRC. Nothing is run here: the build is the `prepare` of every target.
"""

import re
import shlex
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from firedamp import exchange
from firedamp.building.artifact import carries_library
from firedamp.errors import UsageError
from firedamp.target import CORPORA

SCRIPT = "build-fuzzers"
CONFIGURATION = "firedamp.toml"
PREPARE = (f"sh ./{SCRIPT}",)
# What infra/base-images/base-builder sets for libFuzzer without a sanitizer; CC and CXX are set by who runs it.
ENVIRONMENT = """\
#!/bin/sh
# Runs build.sh as OSS-Fuzz's base-builder would, with firedamp's compilers: $CC and $CXX.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
export SRC="$here/src" WORK="$here/work" OUT="$here/out"
export SANITIZER=none FUZZING_ENGINE=libfuzzer FUZZING_LANGUAGE={language} ARCHITECTURE=x86_64
export LIB_FUZZING_ENGINE=-fsanitize=fuzzer CCC="$CXX"
export CFLAGS="-O1 -g -fno-omit-frame-pointer -fPIC -DFUZZING_BUILD_MODE_UNSAFE_FOR_PRODUCTION"
export CXXFLAGS="$CFLAGS"
mkdir -p "$WORK" "$OUT"
cd "$SRC/"{workdir}
exec bash -eu "$SRC/build.sh"
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fuzzer:
    name: str
    seeds: int


def lay_out(project: Path, source: Path, into: Path) -> None:
    """Makes `into`: src/ as the container has it, and the script that builds. UsageError where it cannot be."""
    if not (project / "build.sh").is_file():
        raise UsageError(f"{project}: has no build.sh; name a folder of OSS-Fuzz's `projects`")
    if not source.is_dir():
        raise UsageError(f"{source}: is no folder; --src is what the Dockerfile leaves in /src: the checkouts")
    if into.exists():
        raise UsageError(f"{into}: is there already; remove it, or name another folder with --into")
    shutil.copytree(source, into / "src", symlinks=True)
    dockerfile = project / "Dockerfile"
    workdir = _heed(dockerfile.read_text() if dockerfile.is_file() else "", project, into)
    if not (into / "src" / "build.sh").exists():
        shutil.copy(project / "build.sh", into / "src")
    if not (into / "src" / workdir).is_dir():
        shutil.rmtree(into)
        raise UsageError(f"{project}/Dockerfile: WORKDIR {workdir} is no folder in {source}; put the checkout there")
    language = re.search(r"^language:\s*[\"']?([\w+-]+)", _text(project / "project.yaml"), re.MULTILINE)
    script = ENVIRONMENT.format(language=language[1] if language else "c", workdir=shlex.quote(workdir))
    (into / SCRIPT).write_text(script)


def _text(path: Path) -> str:
    return path.read_text() if path.is_file() else ""


def _heed(dockerfile: str, project: Path, into: Path) -> str:
    """Copies what COPY and ADD say; the last WORKDIR, relative to src."""
    workdir = PurePosixPath("/src")
    for verb, words in _instructions(dockerfile):
        if verb == "WORKDIR" and words:
            workdir = _place(words[0], workdir)
        elif verb in ("COPY", "ADD") and len(words) > 1 and not any(word.startswith("--from") for word in words):
            *sources, destination = [word for word in words if not word.startswith("--")]
            place = _place(destination, workdir)
            for pattern in sources:
                for path in sorted(project.glob(pattern)) if pattern != "." else [project]:
                    _copy(path, into / place.relative_to("/"), folder=destination.endswith("/") or len(sources) > 1)
    return str(workdir.relative_to("/src")) if workdir.is_relative_to("/src") else "."


def _instructions(dockerfile: str) -> Iterator[tuple[str, list[str]]]:
    for line in dockerfile.replace("\\\n", " ").splitlines():
        verb, _, rest = line.strip().partition(" ")
        if verb.upper() in ("COPY", "ADD", "WORKDIR"):
            yield verb.upper(), shlex.split(rest)


def _place(word: str, workdir: PurePosixPath) -> PurePosixPath:
    """In the container, where $SRC is /src; never outside of what we lay out."""
    for name, value in (("SRC", "/src"), ("OUT", "/out"), ("WORK", "/work")):
        word = word.replace(f"${name}", value).replace(f"${{{name}}}", value)
    place = workdir / word
    inside = (".." not in place.parts and place.is_relative_to("/src")) or place.parts[1:2] in (("out",), ("work",))
    return place if inside else workdir


def _copy(path: Path, place: Path, *, folder: bool) -> None:
    if path.is_dir():
        shutil.copytree(path, place, dirs_exist_ok=True, ignore=shutil.ignore_patterns(".git"))
    else:
        place = place / path.name if folder or place.is_dir() else place
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, place)


def adopt(into: Path, built: Path) -> tuple[Fuzzer, ...]:
    """Writes firedamp.toml and corpora/ for every fuzzer in `built`/out. UsageError where there is none."""
    out = built / "out"
    fuzzers = tuple(path for path in sorted(out.iterdir()) if carries_library(path)) if out.is_dir() else ()
    if not fuzzers:
        raise UsageError(
            f"build.sh left no fuzzer in $OUT ({out}); it has to link with $LIB_FUZZING_ENGINE by $CC or $CXX"
        )
    adopted = tuple(_adopt(path, into / CORPORA / path.name) for path in fuzzers)
    (into / CONFIGURATION).write_text("\n".join(map(_table, adopted)))
    return adopted


def _adopt(fuzzer: Path, home: Path) -> Fuzzer:
    """Its seeds, and beside them its .options and all dictionaries, since options may name any of them."""
    (home / "seeds").mkdir(parents=True)
    for path in (*fuzzer.parent.glob("*.dict"), fuzzer.with_name(f"{fuzzer.name}.options")):
        if path.is_file():
            shutil.copy(path, home)
    archive = fuzzer.with_name(f"{fuzzer.name}_seed_corpus.zip")
    added = exchange.bring_in(home / "seeds", [archive]).added if archive.is_file() else 0
    return Fuzzer(name=fuzzer.name, seeds=added)


def _table(fuzzer: Fuzzer) -> str:
    commands = ", ".join(f'"{command}"' for command in PREPARE)
    return (
        f'[targets."{fuzzer.name}"]\nprepare = [{commands}]\nartifact = "out/{fuzzer.name}"\n'
        f'seeds = "corpora/{fuzzer.name}/seeds"\n'
    )
