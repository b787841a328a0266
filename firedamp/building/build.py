"""Target + Profile -> Build: compiles once per content, and proves that the guards really are in the binary.

A build lies in cache/<digest>/: `replay` runs one input in a fresh process; `target.so`, made of the same objects,
is what libFuzzer drives. A new header that shadows one of the last build is the one change that goes unseen.
"""

import dataclasses
import glob
import hashlib
import json
import os
import shlex
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, assert_never

from firedamp.building import format_compile, profiles, toolchain
from firedamp.building.artifact import take
from firedamp.building.cache import FACTS, BuildCache, dependencies, digest, file_digest, linked_files
from firedamp.building.prepare import prepared
from firedamp.building.proof import Names, names, prove
from firedamp.building.refusal import check_entries, first_errors, remedy, unguarded
from firedamp.building.runtime_objects import archive, compile_runtime, mutator, runtime_digest, tools
from firedamp.building.toolchain import Compiler
from firedamp.cc import kit as wrapper_kit
from firedamp.errors import BuildError, ToolMissing, UnguardedTarget
from firedamp.target import Build, Profile, Proof, Target, TargetKind

Progress = Callable[[str], None]

FORMAT = "1"  # of the cache; a new number forgets every old build
MUTATOR = "mutator.so"  # beside target.so
CROSS_OVER = "LLVMFuzzerCustomCrossOver"
CXX_SUFFIXES = frozenset({".cc", ".cpp", ".cxx", ".c++", ".C"})
PATIENCE_S = 1.0  # a build that is done sooner says nothing


def build(
    target: Target,
    profile: Profile = Profile.HARDENED,
    *,
    compiler: str | None = None,
    cache: Path,
    progress: Progress | None = None,
    allow_unguarded: bool = False,
) -> Build:
    """The build of `target`, from the cache where nothing changed. Safe to call from several processes at once.

    Raises BuildError (the target's sources), UnguardedTarget (a hardened build in which no guard could fire, unless
    it is allowed), ToolMissing (this machine).
    """
    match target.kind:
        case TargetKind.COMMAND:
            made = _installed(target, profile, _program(target))
        case TargetKind.PYTHON:
            made = _installed(target, profile, Path(sys.executable))
        case TargetKind.HARNESS | TargetKind.PROGRAM:
            made = _compiled(target, profile, _choose(profile, compiler), cache.absolute(), progress)
            if profile is Profile.HARDENED and not made.proof.guarded and not allow_unguarded:
                raise UnguardedTarget(unguarded(made))
        case _:
            assert_never(target.kind)
    return made


def _choose(profile: Profile, name: str | None) -> Compiler:
    compiler = toolchain.choose(name)
    if profile is Profile.ASAN and compiler.name == "zig":
        raise ToolMissing(f"profile asan: {compiler} has no AddressSanitizer; apt-get install clang (or gcc)")
    return compiler


def _installed(target: Target, profile: Profile, executable: Path) -> Build:
    with executable.open("rb") as stream:
        content = hashlib.file_digest(stream, "sha256").hexdigest()
    name = digest((FORMAT, str(executable), content, target.harness or ""))
    return Build(
        target=target, profile=profile, compiler="none", digest=name, executable=executable, proof=prove(executable)
    )


def _program(target: Target) -> Path:
    name = target.command[0] if target.command else ""
    found = shutil.which(target.root / name if "/" in name else name)
    if not found:
        where = f"below {target.root}" if "/" in name else "in PATH"
        raise BuildError(
            f"target {target.name}: command: {name!r} is no executable {where}; install it or give its path"
        )
    return Path(found).absolute()


def _compiled(target: Target, profile: Profile, compiler: Compiler, cache: Path, progress: Progress | None) -> Build:
    cache.mkdir(parents=True, exist_ok=True)
    recipe = Recipe.of(target, profile, compiler, cache)
    folder = BuildCache(folder=cache).find(recipe.key) or recipe.make(progress)
    facts = json.loads((folder / FACTS).read_text())
    library = folder / "target.so"
    return Build(
        target=target,
        profile=profile,
        compiler=str(compiler),
        digest=folder.name,
        executable=folder / "replay",
        library=library if library.exists() else None,
        proof=_proof(facts["proof"]),
    )


def _proof(facts: dict[str, Any]) -> Proof:
    values: dict[str, Any] = {key: tuple(value) if isinstance(value, list) else value for key, value in facts.items()}
    return Proof(**values)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """Everything that decides what comes out, but for the headers, which only the compiler can name."""

    target: Target
    profile: Profile
    compiler: Compiler
    cache: Path
    tree: Path  # target.root, or its prepared copy
    sources: tuple[Path, ...]
    cflags: tuple[str, ...]

    @classmethod
    def of(cls, target: Target, profile: Profile, compiler: Compiler, cache: Path) -> "Recipe":
        root = target.root.resolve()
        folder = tools(cache)
        flags = profiles.compile_flags(compiler, profile, target.kind, folder)
        tree = _tree(target, profile, compiler, cache)
        if target.prepare:
            flags = (*flags, f"-fdebug-prefix-map={tree}={root}")
        return cls(
            target=target,
            profile=profile,
            compiler=compiler,
            cache=cache,
            tree=tree,
            sources=_sources(target, tree),
            cflags=(*flags, *profiles.honoured(profile, target.cflags)),
        )

    @property
    def key(self) -> str:
        """Of everything known before compiling."""
        known = (FORMAT, self.profile, self.target.kind, str(self.tree), str(self.compiler), *self.compiler.command)
        ours = (runtime_digest(), format_compile.method_digest())
        made = (self.tree / self.target.artifact,) if self.target.artifact is not None else ()
        files = (*self.sources, *made, *linked_files(self.target.ldflags, self.tree))
        contents = (f"{path} {file_digest(path)}" for path in files)
        return digest((*known, "cflags", *self.cflags, "ldflags", *self.target.ldflags, *ours, *contents))

    def make(self, progress: Progress | None) -> Path:
        """Compiles, links and proves in a folder of its own, which then goes to the cache."""
        work = Path(tempfile.mkdtemp(prefix=".building-", dir=self.cache))
        try:
            proof, headers = self._take(work) if self.target.artifact is not None else self._build(work, progress)
            if self.profile is Profile.HARDENED:
                symbols = names(work / "target.so") if (work / "target.so").exists() else Names()
                crossing = CROSS_OVER in symbols.every - symbols.undefined  # custom.c has hidden it
                shutil.copyfile(mutator(self.compiler, self.cache, crossing=crossing), work / MUTATOR)
            facts = {"compiler": str(self.compiler), "target": self.target.name, "proof": dataclasses.asdict(proof)}
            (work / FACTS).write_text(json.dumps(facts, indent=1))
            return BuildCache(folder=self.cache).publish(self.key, work, headers)
        finally:
            shutil.rmtree(work, ignore_errors=True)

    def _take(self, work: Path) -> tuple[Proof, list[str]]:
        take(self.target, self.profile, self.tree, work)
        return prove(work / "replay"), []

    def _build(self, work: Path, progress: Progress | None) -> tuple[Proof, list[str]]:
        """What the binary proves of itself, and the headers that it was made of."""
        objects, unmarked, headers = self._compile(work, progress)
        tables = {self._shown(source): names(item) for source, item in zip(self.sources, objects, strict=True)}
        check_entries(self.target.name, self.target.kind, tables)
        self._link(work, objects)
        proof = prove(work / "replay", (*objects, *linked_files(self.target.ldflags, self.tree)))
        if proof.formats:
            proof = dataclasses.replace(
                proof, uncounted=tuple(name for name in unmarked if format_compile.uncounted(tables[name]))
            )
        for notes in (work / "objects").glob("*.gcno"):  # of gcc --coverage: what its counts mean
            notes.rename(work / notes.name)
        shutil.rmtree(work / "objects")
        return proof, headers

    def _compile(self, work: Path, progress: Progress | None) -> tuple[tuple[Path, ...], tuple[str, ...], list[str]]:
        """The objects, the sources whose calls bear no marks, and the headers."""
        folder = work / "objects"
        folder.mkdir()
        objects = tuple(folder / f"{number}-{source.stem}.o" for number, source in enumerate(self.sources))
        unmarked: list[str] = []
        started = time.monotonic()
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            jobs = [pool.submit(self._compile_one, *pair) for pair in zip(self.sources, objects, strict=True)]
            try:
                for number, (source, job) in enumerate(zip(self.sources, jobs, strict=True), 1):
                    if not job.result():
                        unmarked.append(self._shown(source))
                    if progress and time.monotonic() - started > PATIENCE_S:
                        progress(f"{self.target.name}: compiled {number} of {len(jobs)}: {self._shown(source)}")
            except BaseException:
                pool.shutdown(cancel_futures=True)
                raise
        headers = {header for item in objects for header in dependencies(item.with_suffix(".d"), self.tree)}
        return objects, tuple(unmarked), sorted(headers - set(map(str, self.sources)))

    def _compile_one(self, source: Path, output: Path) -> bool:
        """Whether the calls in it bear marks."""
        driver = self._cxx(source) if source.suffix in CXX_SUFFIXES else self.compiler.command
        if self._guard_names and format_compile.compile_marked(
            (*driver, *self.cflags), self._shown(source), output, self.tree
        ):
            return True
        depfile = output.with_suffix(".d")
        command = (*driver, *self.cflags, "-MMD", "-MF", str(depfile), "-c", self._shown(source), "-o", str(output))
        self._run(command, f"{self._shown(source)} does not compile")
        return False

    def _cxx(self, source: Path) -> tuple[str, ...]:
        driver = self.compiler.cxx_command
        if driver is None:
            raise ToolMissing(
                f"{self._shown(source)}: is C++ and {self.compiler} has no C++ driver; apt-get install g++"
            )
        return driver

    def _link(self, work: Path, objects: tuple[Path, ...]) -> None:
        cxx = next((source for source in self.sources if source.suffix in CXX_SUFFIXES), None)
        driver = self._cxx(cxx) if cxx else self.compiler.command
        ours, in_library = profiles.runtime_sources(self.compiler, self.profile, self.target.kind)
        strings, wraps = profiles.wrapping(self.compiler, self.profile, self.target.kind)
        ours = (*ours, *strings)
        parts = {name: self._runtime_object(work, name) for name in (*ours, *in_library)}
        guards = self._guards(work)
        for output, flags, extra in (
            ("replay", (*profiles.link_flags(self.compiler, self.profile), *wraps), ours),
            ("target.so", profiles.library_flags(self.compiler), in_library),
        ):
            if output == "target.so" and not in_library:
                continue
            inputs = (*map(str, objects), *(str(parts[name]) for name in extra))
            command = (*driver, *flags, *inputs, "-o", str(work / output), *self.target.ldflags, *guards)
            self._run(command, f"{output} does not link")

    @property
    def _guard_names(self) -> tuple[str, ...]:
        return profiles.guard_sources(self.profile, (*self.cflags, *self.target.ldflags))

    def _guards(self, work: Path) -> tuple[str, ...]:
        objects = tuple(self._runtime_object(work, name) for name in self._guard_names)
        return (str(archive(self.compiler, objects, work / "objects" / "guards.a")),) if objects else ()

    def _runtime_object(self, work: Path, name: str) -> Path:
        return compile_runtime(self.compiler, name, work / "objects" / f"runtime-{name}.o")

    def _run(self, command: tuple[str, ...], failure: str) -> None:
        run = subprocess.run(
            command,
            cwd=self.tree,
            env={**os.environ, "LC_ALL": "C"},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
        )
        if run.returncode != 0:
            raise BuildError(
                f"target {self.target.name}: {failure} with {self.compiler}:\n{first_errors(run.stderr)}\n"
                f"tried: cd {shlex.quote(str(self.tree))} && {shlex.join(command)}\n"
                f"{remedy(run.stderr, self.target.root)}"
            )

    def _shown(self, source: Path) -> str:
        return str(source.relative_to(self.tree)) if source.is_relative_to(self.tree) else str(source)


def prepared_tree(target: Target, profile: Profile, *, compiler: str | None = None, cache: Path) -> Path:
    """Where the target's `prepare` commands have run."""
    cache.mkdir(parents=True, exist_ok=True)
    return _tree(target, profile, _choose(profile, compiler), cache.absolute())


def _tree(target: Target, profile: Profile, compiler: Compiler, cache: Path) -> Path:
    root = target.root.resolve()
    if not target.prepare:
        return root
    return prepared(root, target.prepare, _environment(compiler, profile, target.kind, cache), cache)


def _sources(target: Target, tree: Path) -> tuple[Path, ...]:
    if target.artifact is not None:
        return ()
    found: dict[Path, None] = {}
    for pattern in target.sources:
        paths = sorted(glob.glob(pattern, root_dir=tree, recursive=True))  # noqa: PTH207 (patterns may be absolute)
        if not paths:
            raise BuildError(f"target {target.name}: sources: {pattern!r} matches no file below {tree}")
        found.update((tree / path, None) for path in paths)
    if not found:
        raise BuildError(f"target {target.name}: sources: is empty; name at least one C file")
    return tuple(found)


def _environment(compiler: Compiler, profile: Profile, kind: TargetKind, cache: Path) -> dict[str, str]:
    """For `prepare`: what it compiles is instrumented too, whatever flags its own makefiles choose."""
    cc, cxx = wrapper_kit.launchers(wrapper_kit.make(compiler, profile, cache, kind=kind))
    return {
        "CC": str(cc),
        "CXX": str(cxx),
        "CFLAGS": "-g -O1",
        "CXXFLAGS": "-g -O1",
        "LDFLAGS": "",
        "LIB_FUZZING_ENGINE": "-fsanitize=fuzzer",
        "FIREDAMP_CFLAGS": "",
    }
