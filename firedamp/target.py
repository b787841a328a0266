"""What is under test, how it is compiled, and what was proved of the binary. Values only, no I/O."""

from dataclasses import dataclass, field
from enum import StrEnum
from os.path import normpath, relpath
from pathlib import Path

MEBIBYTE = 1 << 20
CORPORA = "corpora"  # of a project: seeds and regressions of all its targets


class TargetKind(StrEnum):
    HARNESS = "harness"  # C sources with LLVMFuzzerTestOneInput
    PROGRAM = "program"  # C sources with a main of their own
    COMMAND = "command"  # an installed program: no sources, no coverage
    PYTHON = "python"  # a Python function that calls into C


class InputMode(StrEnum):
    BUFFER = "buffer"
    STDIN = "stdin"
    FILE = "file"  # @@ in the arguments becomes a path
    ARGV = "argv"  # @@ in the arguments becomes the bytes themselves
    NONE = "none"  # the program takes no input of ours (sweeps)


class Profile(StrEnum):
    HARDENED = "hardened"  # stack protector, FORTIFY, coverage
    ASAN = "asan"  # AddressSanitizer and UBSan; FORTIFY is void under it, hence a build of its own
    COVERAGE = "coverage"  # counts which code is reached, and has no guards; for reports alone
    PLAIN = "plain"  # what a distribution without hardening would ship


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Of one execution. Memory is resident size over all of its processes; output is the size of any file it writes."""

    wall_s: float = 5.0
    cpu_s: float = 5.0
    memory_bytes: int = 1024 * MEBIBYTE
    output_bytes: int = 64 * MEBIBYTE


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """A program or library under test. Relative names lie in `root`, the folder of its firedamp.toml."""

    name: str
    kind: TargetKind
    root: Path
    sources: tuple[str, ...] = ()  # globs
    prepare: tuple[str, ...] = ()  # shell commands, run once in a cached copy
    cflags: tuple[str, ...] = ()
    ldflags: tuple[str, ...] = ()
    artifact: str | None = None  # what `prepare` built with firedamp-cc, in place of sources
    args: tuple[str, ...] = ()  # of a PROGRAM, without argv[0]
    command: tuple[str, ...] = ()  # of a COMMAND, with argv[0]
    harness: str | None = None  # "package.module:function"
    input: InputMode = InputMode.BUFFER
    seeds: str | None = None
    dictionary: str | None = None
    max_len: int = 4096
    mutator: str | None = None  # "package.module:function", of C sources
    strategy: str | None = None  # "package.module:strategy", in its stead
    mutate_one_in: int = 16  # mutations; the others are libFuzzer's and the solver's
    limits: Limits = field(default_factory=Limits)
    setup: str | None = None  # shell, in the private folder, before each run
    check: str | None = None  # shell, in the private folder, after each run: is the state right?
    input_from: str | None = None  # "remote" | "local"; None: by the way in
    workdir: Path | None = None  # copied for each run; None: `root`
    stdin: str | None = None  # names of the streams' files, relative to the private folder
    stdout: str | None = None
    stderr: str | None = None

    @property
    def workspace(self) -> Path:
        """What each run gets a private copy of."""
        return self.workdir or self.root

    @property
    def left_out(self) -> frozenset[str]:
        """Of that copy, by path relative to it: seeds come as inputs, one by one, and may be tens of thousands."""
        if self.seeds is None:
            return frozenset()
        seeds = normpath(self.root / self.seeds)
        inside = {seeds, normpath(self.root / CORPORA)} if seeds.startswith(f"{self.root / CORPORA}/") else {seeds}
        return frozenset(relpath(path, self.workspace) for path in inside)


@dataclass(frozen=True, slots=True, kw_only=True)
class Proof:
    """What the ELF file itself shows, read after the link; never what the flags promised."""

    canary: bool  # __stack_chk_fail is called
    fortified: tuple[str, ...] = ()  # __*_chk that are called
    unfortified: tuple[str, ...] = ()  # plain twins that remain: no guard there
    formats: bool = False  # calls of the printf family go through our runtime
    uncounted: tuple[str, ...] = ()  # sources that call it without marks: how many arguments were given is not known
    coverage: bool = False
    sanitizers: tuple[str, ...] = ()
    pie: bool = False
    relro: str = "none"  # none | partial | full

    @property
    def guarded(self) -> bool:
        return self.canary or bool(self.fortified) or bool(self.sanitizers)


@dataclass(frozen=True, slots=True, kw_only=True)
class Build:
    """One compiled target. `executable` runs one input in a fresh process; `library` is what libFuzzer drives."""

    target: Target
    profile: Profile
    compiler: str  # e.g. "clang 14.0.6"; "none" for a COMMAND
    digest: str  # of sources, flags and compiler: the name of its folder in the cache
    executable: Path
    library: Path | None = None
    proof: Proof
