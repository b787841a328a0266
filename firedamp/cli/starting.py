"""What `firedamp init` finds in a C project, and what it writes there."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from firedamp import corpus
from firedamp.errors import UsageError
from firedamp.project import NAME
from firedamp.target import CORPORA

HARNESS = re.compile(rb"^[^#/\n]*\bLLVMFuzzerTestOneInput\s*\(", re.MULTILINE)
MAIN = re.compile(rb"^\s*(?:int|void)?\s*main\s*\(", re.MULTILINE)
LARGEST_BYTES = 1 << 20  # a C file beyond that is generated
MOST_FILES = 2000  # looked at: init must be quick in any folder
SKIPPED = frozenset({"results", CORPORA, "build", "node_modules", "third_party", "vendor"})
PLAIN_NAMES = frozenset({"harness", "fuzz", "fuzzer", "main", "target", "fuzz_target"})  # they name no project
FIRST_SEED = b"0\n"


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """A C file worth starting with, and what has to be compiled with it; names relative to the project."""

    name: str
    program: bool
    sources: tuple[str, ...]


def start(root: Path) -> Iterator[str]:
    """Writes, and says what. UsageError: there is a firedamp.toml, or no C file to start with."""
    path = root / NAME
    if path.exists():
        raise UsageError(f"{path}: is there already, and is not overwritten; edit it, or move it away")
    found = look(root)
    seeds = corpus.seeds_folder(root, found.name)
    path.write_text(configuration(found), encoding="utf-8")
    yield f"{NAME}: target {found.name} from {', '.join(found.sources)}"
    seeds.mkdir(parents=True, exist_ok=True)
    if not any(seeds.iterdir()):
        (seeds / "first").write_bytes(FIRST_SEED)
        yield f"{seeds.relative_to(root)}/first: a first seed; put real inputs beside it"
    if ignore_results(root):
        yield ".gitignore: results/ added"
    yield f"next: firedamp build {found.name} && firedamp fuzz {found.name} --time 60s"


def look(root: Path) -> Found:
    """The best C file: a harness before a program, a shallow one before a deep one."""
    files = {path: path.read_bytes() for path in c_files(root)}
    harnesses = [path for path, text in files.items() if HARNESS.search(text)]
    programs = [path for path, text in files.items() if MAIN.search(text) and path not in harnesses]
    entries = harnesses or programs
    if not entries:
        raise UsageError(
            f"{root}: no C file defines LLVMFuzzerTestOneInput or main; write a harness (the README shows one), "
            "or go to the folder where your C files are"
        )
    entry = entries[0]
    others = [path for path in files if path.parent == entry.parent and path not in (*harnesses, *programs)]
    sources = tuple(str(path.relative_to(root)) for path in (entry, *others))
    return Found(name=_name(entry, others, root), program=not harnesses, sources=sources)


def c_files(root: Path) -> list[Path]:
    """Shallow ones first; hidden folders and those of builds are left out."""
    found: list[Path] = []
    folders = [root]
    while folders and len(found) < MOST_FILES:
        entries = sorted(folders.pop(0).iterdir())
        found += [path for path in entries if path.suffix in (".c", ".cc", ".cpp") and _readable(path)]
        folders += [
            path
            for path in entries
            if path.is_dir() and not path.is_symlink() and path.name not in SKIPPED and not path.name.startswith(".")
        ]
    return found


def _readable(path: Path) -> bool:
    return path.is_file() and path.stat().st_size <= LARGEST_BYTES


def _name(entry: Path, others: list[Path], root: Path) -> str:
    """The file's own name; where that says nothing, the code's under test, or the project's."""
    candidates = [entry.stem, *(path.stem for path in others[:1]), root.name]
    words = (re.sub(r"^fuzz_|_fuzz(er)?$|_harness$", "", word) for word in candidates if word not in PLAIN_NAMES)
    return next(filter(corpus.NAME.fullmatch, words), "target")


def configuration(found: Found) -> str:
    """A commented firedamp.toml with one target."""
    sources = ", ".join(f'"{source}"' for source in found.sources)
    program = 'program = true\nargs = ["@@"]                  # @@ becomes a file with the input; without it: stdin\n'
    return f"""\
# firedamp.toml: what firedamp tests. Relative names start at this file's folder.

[targets.{found.name}]
sources = [{sources}]
{program if found.program else ""}seeds = "corpora/{found.name}/seeds"
# cflags = ["-Iinclude"]
# ldflags = ["-lm"]
# dictionary = "words.dict"     # libFuzzer's format
# max_len = 4096                # bytes of an input
# timeout_s = 5
# memory_mb = 1024

# A command whose system calls fail, one after the other: firedamp sweep copy
# [sweeps.copy]
# command = ["cp", "a", "b"]
# setup = "seq 100 > a"         # shell, in a private folder
# check = "cmp a b"             # optional: is the state right afterwards?
"""


def ignore_results(root: Path) -> bool:
    """results/ in .gitignore, where this is a work tree of git; whether a line was added."""
    if not any((folder / ".git").exists() for folder in (root, *root.parents)):
        return False
    path = root / ".gitignore"
    before = path.read_text(encoding="utf-8", errors="surrogateescape") if path.exists() else ""
    if any(line.strip() in ("results", "results/", "/results", "/results/") for line in before.splitlines()):
        return False
    with path.open("a", encoding="utf-8") as file:
        file.write(("" if before.endswith("\n") or not before else "\n") + "results/\n")
    return True
