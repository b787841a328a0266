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
import threading
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, assert_never

from firedamp import profiles, toolchain
from firedamp.errors import BuildError, ToolMissing, UnguardedTarget
from firedamp.prepare import prepared
from firedamp.proof import Names, describe, names, prove
from firedamp.target import Build, Profile, Proof, Target, TargetKind
from firedamp.toolchain import Compiler

Progress = Callable[[str], None]

RUNTIME = Path(__file__).parent / "runtime"
FORMAT = "1"  # of the cache; a new number forgets every old build
CXX_SUFFIXES = frozenset({".cc", ".cpp", ".cxx", ".c++", ".C"})
ENTRY = "LLVMFuzzerTestOneInput"
PATIENCE_S = 1.0  # a build that is done sooner says nothing
SHOWN_LINES = 12


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
                raise UnguardedTarget(_unguarded(made))
        case _:
            assert_never(target.kind)
    return made


def _choose(profile: Profile, name: str | None) -> Compiler:
    compiler = toolchain.choose(name)
    if profile is Profile.ASAN and compiler.name == "zig":
        raise ToolMissing(f"profile asan: {compiler} has no AddressSanitizer; apt-get install clang (or gcc)")
    return compiler


def _unguarded(made: Build) -> str:
    shown = describe(made.proof).splitlines()[0]
    return (
        f"target {made.target.name}: no guard of ours could fire in it ({shown}), although {made.compiler} was told to"
        " put them in. Code without arrays on the stack and without string functions of known size looks like this:"
        " if that is meant, pass --unguarded"
    )


def _installed(target: Target, profile: Profile, executable: Path) -> Build:
    with executable.open("rb") as stream:
        content = hashlib.file_digest(stream, "sha256").hexdigest()
    digest = _digest((FORMAT, str(executable), content, target.harness or ""))
    return Build(
        target=target, profile=profile, compiler="none", digest=digest, executable=executable, proof=prove(executable)
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
    if (folder := recipe.find()) is None:
        folder = recipe.make(progress)
    facts = json.loads((folder / "build.json").read_text())
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
    tools: Path

    @classmethod
    def of(cls, target: Target, profile: Profile, compiler: Compiler, cache: Path) -> "Recipe":
        root = target.root.resolve()
        tools = _tools(cache)
        flags = profiles.compile_flags(compiler, profile, target.kind, tools)
        tree = root
        if target.prepare:
            tree = prepared(root, target.prepare, _environment(compiler, profile, flags, tools, target), cache)
            flags = (*flags, f"-fdebug-prefix-map={tree}={root}")
        return cls(
            target=target,
            profile=profile,
            compiler=compiler,
            cache=cache,
            tree=tree,
            sources=_sources(target, tree),
            cflags=(*flags, *target.cflags),
            tools=tools,
        )

    @property
    def key(self) -> str:
        """Of everything known before compiling."""
        known = (FORMAT, str(self.compiler), *self.compiler.command, self.profile, self.target.kind, str(self.tree))
        files = (*self.sources, *_linked_files(self.target.ldflags, self.tree))
        contents = (f"{path} {_file_digest(path)}" for path in files)
        return _digest((*known, "cflags", *self.cflags, "ldflags", *self.target.ldflags, _runtime_digest(), *contents))

    @property
    def _headers(self) -> Path:
        return self.cache / "headers" / f"{self.key}.json"

    def find(self) -> Path | None:
        """The finished folder, when the headers of the last build are as they were."""
        try:
            headers = json.loads(self._headers.read_text())
        except (OSError, ValueError):
            return None
        folder = self.cache / self._final(headers)
        return folder if (folder / "build.json").exists() else None

    def _final(self, headers: Iterable[str]) -> str:
        return _digest((self.key, *(f"{path} {_file_digest(Path(path))}" for path in sorted(headers))))

    def make(self, progress: Progress | None) -> Path:
        """Compiles, links and proves in a folder of its own, then renames it: a reader never sees a half build."""
        work = Path(tempfile.mkdtemp(prefix=".building-", dir=self.cache))
        try:
            objects, headers = self._compile(work, progress)
            self._check_entries(objects)
            self._link(work, objects)
            proof = prove(work / "replay", objects)
            facts = {"compiler": str(self.compiler), "target": self.target.name, "proof": dataclasses.asdict(proof)}
            (work / "build.json").write_text(json.dumps(facts, indent=1))
            for notes in (work / "objects").glob("*.gcno"):  # of gcc --coverage: what its counts mean
                notes.rename(work / notes.name)
            shutil.rmtree(work / "objects")
            return self._publish(work, headers)
        finally:
            shutil.rmtree(work, ignore_errors=True)

    def _publish(self, work: Path, headers: list[str]) -> Path:
        folder = self.cache / self._final(headers)
        work.chmod(0o755)  # mkdtemp made it ours alone
        try:
            work.rename(folder)
        except OSError:
            if not (folder / "build.json").exists():  # else another process was first, with the same result
                raise
        self._headers.parent.mkdir(exist_ok=True)
        note = _scratch(self._headers)
        note.write_text(json.dumps(headers))
        note.replace(self._headers)
        return folder

    def _compile(self, work: Path, progress: Progress | None) -> tuple[tuple[Path, ...], list[str]]:
        folder = work / "objects"
        folder.mkdir()
        objects = tuple(folder / f"{number}-{source.stem}.o" for number, source in enumerate(self.sources))
        started = time.monotonic()
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            jobs = [pool.submit(self._compile_one, *pair) for pair in zip(self.sources, objects, strict=True)]
            try:
                for number, (source, job) in enumerate(zip(self.sources, jobs, strict=True), 1):
                    job.result()
                    if progress and time.monotonic() - started > PATIENCE_S:
                        progress(f"{self.target.name}: compiled {number} of {len(jobs)}: {self._shown(source)}")
            except BaseException:
                pool.shutdown(cancel_futures=True)
                raise
        headers = {header for item in objects for header in _dependencies(item.with_suffix(".d"), self.tree)}
        return objects, sorted(headers - set(map(str, self.sources)))

    def _compile_one(self, source: Path, output: Path) -> None:
        driver = self._cxx(source) if source.suffix in CXX_SUFFIXES else self.compiler.command
        depfile = output.with_suffix(".d")
        command = (*driver, *self.cflags, "-MMD", "-MF", str(depfile), "-c", self._shown(source), "-o", str(output))
        self._run(command, f"{self._shown(source)} does not compile")

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
        parts = {name: self._runtime_object(work, name) for name in (*ours, *in_library)}
        for output, flags, extra in (
            ("replay", profiles.link_flags(self.compiler, self.profile), ours),
            ("target.so", profiles.library_flags(self.compiler), in_library),
        ):
            if output == "target.so" and not in_library:
                continue
            inputs = (*map(str, objects), *(str(parts[name]) for name in extra))
            command = (*driver, *flags, *inputs, "-o", str(work / output), *self.target.ldflags)
            self._run(command, f"{output} does not link")

    def _runtime_object(self, work: Path, name: str) -> Path:
        return _compile_runtime(self.compiler, name, work / "objects" / f"runtime-{name}.o")

    def _check_entries(self, objects: tuple[Path, ...]) -> None:
        tables = {self._shown(source): names(item) for source, item in zip(self.sources, objects, strict=True)}
        mains, entries = _definers(tables, "main"), _definers(tables, ENTRY)
        where = f"target {self.target.name}"
        if self.target.kind is TargetKind.HARNESS:
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
                f"target {self.target.name}: {failure} with {self.compiler}:\n{_first_errors(run.stderr)}\n"
                f"tried: cd {shlex.quote(str(self.tree))} && {shlex.join(command)}\n{_remedy(run.stderr, self)}"
            )

    def _shown(self, source: Path) -> str:
        return str(source.relative_to(self.tree)) if source.is_relative_to(self.tree) else str(source)


def _sources(target: Target, tree: Path) -> tuple[Path, ...]:
    found: dict[Path, None] = {}
    for pattern in target.sources:
        paths = sorted(glob.glob(pattern, root_dir=tree, recursive=True))  # noqa: PTH207 (patterns may be absolute)
        if not paths:
            raise BuildError(f"target {target.name}: sources: {pattern!r} matches no file below {tree}")
        found.update((tree / path, None) for path in paths)
    if not found:
        raise BuildError(f"target {target.name}: sources: is empty; name at least one C file")
    return tuple(found)


def _environment(
    compiler: Compiler, profile: Profile, flags: tuple[str, ...], tools: Path, target: Target
) -> dict[str, str]:
    """For `prepare`: what it compiles is instrumented too; coverage_off.o makes configure's test programs link."""
    stubs = tools / f"coverage_off-{_digest((str(compiler), *compiler.command))[:12]}.o"
    if not stubs.exists():
        _compile_runtime(compiler, "coverage_off.c", stubs)
    cxx = {"CXX": shlex.join(compiler.cxx_command)} if compiler.cxx_command else {}
    link = profiles.link_flags(compiler, profile) if profile is Profile.ASAN else (str(stubs),)
    joined = shlex.join(flags)
    return {
        "CC": shlex.join(compiler.command),
        **cxx,
        "CFLAGS": joined,
        "CXXFLAGS": joined,
        "LDFLAGS": shlex.join(link),
    }


def _compile_runtime(compiler: Compiler, name: str, output: Path) -> Path:
    scratch = _scratch(output)
    flags = (*profiles.RUNTIME, "-fPIC", f"-ffile-prefix-map={RUNTIME}=firedamp/runtime")
    command = (*compiler.command, *flags, "-c", str(RUNTIME / name), "-o", str(scratch))
    run = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, errors="replace")
    if run.returncode != 0:
        raise ToolMissing(
            f"{compiler} does not compile firedamp's own runtime ({name}):\n{_first_errors(run.stderr)}\n"
            f"{toolchain.REMEDY}"
        )
    scratch.replace(output)
    return output


def _tools(cache: Path) -> Path:
    """gcc looks for its assembler here. Copied, since an installed package may lose the executable bit."""
    folder = cache / "tools" / _runtime_digest()[:12]
    if not (folder / "as").exists():
        folder.mkdir(parents=True, exist_ok=True)
        for name, mode in (("edges.sed", 0o644), ("as", 0o755)):
            scratch = _scratch(folder / name)
            scratch.write_bytes((RUNTIME / name).read_bytes())
            scratch.chmod(mode)
            scratch.replace(folder / name)
    return folder


def _scratch(path: Path) -> Path:
    """Where `path` is written before it is renamed: beside it, and of this thread alone."""
    return path.with_name(f".{os.getpid()}-{threading.get_ident()}-{path.name}")


def _linked_files(ldflags: tuple[str, ...], tree: Path) -> list[Path]:
    """The objects and archives that the link flags name, and -lNAME in the -L folders given: their content counts."""
    folders = [tree / flag[2:] for flag in ldflags if flag.startswith("-L")]
    files = [tree / flag for flag in ldflags if not flag.startswith("-")]
    for flag in ldflags:
        if flag.startswith("-l"):
            files += [folder / f"lib{flag[2:]}{suffix}" for folder in folders for suffix in (".so", ".a")]
    return [path for path in files if path.is_file()]


def _dependencies(depfile: Path, tree: Path) -> list[str]:
    """Absolute names from a Makefile rule as -MMD writes it; blanks in names are escaped by a backslash."""
    if not depfile.exists():  # an assembler source
        return []
    rule = depfile.read_text(errors="surrogateescape").replace("\\\n", " ").partition(": ")[2].partition("\n")[0]
    return [str(tree / name.replace("\0", " ").replace("$$", "$")) for name in rule.replace("\\ ", "\0").split()]


def _definers(tables: dict[str, Names], symbol: str) -> list[str]:
    return [source for source, table in tables.items() if symbol in table.defined]


def _first_errors(stderr: str) -> str:
    lines = stderr.splitlines()
    start = next((number for number, line in enumerate(lines) if "error" in line or "undefined" in line), 0)
    return "\n".join(lines[start : start + SHOWN_LINES])


def _remedy(stderr: str, recipe: Recipe) -> str:
    if ENTRY in stderr and "undefined" in stderr:
        return f"missing symbol {ENTRY}: define it, or write `program = true` for a program with its own main"
    if "undefined" in stderr and ("reference" in stderr or "symbol" in stderr):
        return "add the source that defines it to `sources`, or its library to `ldflags` (-lNAME)"
    if "multiple definition" in stderr or "duplicate symbol" in stderr:
        return "two sources define the same symbol: narrow the globs of `sources`"
    if "implicit declaration" in stderr or "undeclared function" in stderr:
        return "old C: add '-Wno-implicit-function-declaration' (or '-std=gnu89') to `cflags`"
    if "file not found" in stderr or "No such file" in stderr:
        return f"add -I folders relative to {recipe.target.root} to `cflags`; generate headers in `prepare`"
    if "libasan" in stderr or "libclang_rt" in stderr:
        return "the compiler's sanitizer runtime is missing: apt-get install libclang-rt-dev (clang) or libasan8 (gcc)"
    return "correct the source or `cflags` and `ldflags` of the target, or try another --compiler"


def _runtime_digest() -> str:
    return _digest(_file_digest(path) for path in sorted(RUNTIME.iterdir()) if path.is_file())


def _file_digest(path: Path) -> str:
    try:
        with path.open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()
    except OSError:
        return "absent"


def _digest(parts: Iterable[str]) -> str:
    return hashlib.sha256("\0".join(parts).encode("utf-8", "surrogateescape")).hexdigest()[:32]
