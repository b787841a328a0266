"""The plan of a sweep: each site of the clean run x each errno that could really happen there. Pure.

A site is a system call with its call stack. Of its hits the first, the second and the last stand for all. Each errno
is tried once, and where such a failure lasts in the world also from that hit on: right after the single one, which
tells whether anything came later that could fail again, for a program that tries again makes calls that no clean run
has. What lasts is the state of an object, so a lasting fault does not stop at its site:
- a full or read-only file system (ENOSPC, EDQUOT, EROFS): every later call of the family on files of the working
  folder, or on the same standard stream;
- a full table (EMFILE, ENFILE): every later call of the family, on whatever it is;
- memory (ENOMEM of brk, mmap ...): every later call that asks for memory;
- else (EIO, EACCES ...): every later call of the family on the same file.
Where the object has no name that another run would know again, and under TMPDIR, the site alone stands for it.
"""

import os
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import PurePath
from typing import Final

from firedamp.outcome import Frame
from inject import syscalls
from inject.census import Hit
from inject.policy.model import HEADER
from inject.syscalls import ErrnoFact

SPACE: Final = frozenset({"ENOSPC", "EDQUOT", "EROFS"})
TABLES: Final = frozenset({"EMFILE", "ENFILE"})
MEMORY: Final = ("brk", "mmap", "mremap")
CREATES: Final = frozenset({"ENOSPC", "EDQUOT"})
NAMES: Final = frozenset({"EEXIST", "ELOOP", "ENOENT", "ENOTDIR", "ENOTEMPTY"})  # they last for one name alone
STARTUP, TEXT, SAME = "start-up of the dynamic loader", "the program's own text", "fails so without us"
INTERPRETER: Final = "start-up of the interpreter"
COMMON: Final = ("ENOSPC", "EIO", "EACCES", "ENOMEM", "EMFILE")  # a finding is named after the first that shows it
FRAMES_SHOWN: Final = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One run. `rules` are policy lines; the first hit that they strike is the site's."""

    hit: Hit
    name: str  # what happens there: an errno's name
    lasting: bool
    rules: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    faults: tuple[Fault, ...] = ()
    sites: int = 0
    skips: Counter[str] = field(default_factory=Counter)


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """What to try. Empty means everything; `syscalls` are names, families or strace's %classes."""

    errnos: frozenset[str] = frozenset()
    syscalls: frozenset[str] = frozenset()
    startup: bool = False  # also the loader's work, and the reading of a script by its interpreter

    def wants(self, syscall: str) -> bool:
        return not self.syscalls or syscall in self.syscalls


@dataclass(frozen=True, slots=True, kw_only=True)
class Filter:
    """The calls that a lasting fault strikes: as a policy says it, and as the census can count it."""

    syscall: str
    text: str
    covers: Callable[[Hit], bool]


def plan(
    hits: tuple[Hit, ...],
    folder: str,
    steady: frozenset[str],
    selection: Selection,
    program: str | None = None,
    *,
    script: bool = False,
) -> Plan:
    """In the order of the clean run. `folder`: its working folder; `steady`: paths that come back in another run;
    `program`: the file of the command itself, which may be a script."""
    made = Planner(hits=hits, folder=folder, steady=steady, selection=selection, program=program)
    if script:
        made.begins = next((at for at, hit in enumerate(hits) if hit.path == program), 0)
    faults: dict[tuple[str, ...], Fault] = {}
    for fault in made.faults():
        faults.setdefault(fault.rules, fault)
    return Plan(faults=tuple(faults.values()), sites=made.sites, skips=made.skips)


@dataclass(slots=True, kw_only=True)
class Planner:
    hits: tuple[Hit, ...]
    folder: str
    steady: frozenset[str]
    selection: Selection
    program: str | None = None
    begins: int = 0  # the hit at which a script's interpreter comes to the script
    sites: int = 0
    skips: Counter[str] = field(default_factory=Counter)

    def faults(self) -> Iterator[Fault]:
        by_site: dict[str, list[int]] = {}
        for at, hit in enumerate(self.hits):
            by_site.setdefault(hit.site, []).append(at)
        for at in sorted({at for ats in by_site.values() for at in representatives(ats)}):
            hit = self.hits[at]
            wanted = self._wanted(hit)
            early = None if self.selection.startup else self._early(at)
            self.sites += bool(wanted) and hit.nth == 1 and early is None
            for fact in wanted:
                if early is not None:
                    self.skips[early] += 1
                elif hit.result == -fact.number:
                    self.skips[SAME] += 1
                else:
                    yield from self._of(at, fact)

    def _early(self, at: int) -> str | None:
        """Why a call belongs to loading the program, not to running it: the loader's, or a script's text being read."""
        hit = self.hits[at]
        if hit.startup:
            return STARTUP
        if at < self.begins:
            return INTERPRETER
        return TEXT if self.program is not None and hit.path == self.program else None

    def _wanted(self, hit: Hit) -> tuple[ErrnoFact, ...]:
        if not self.selection.wants(hit.syscall):
            return ()
        wanted = self.selection.errnos
        facts = (fact for fact in hit.errnos if not wanted or fact.name in wanted)
        return tuple(sorted(facts, key=lambda fact: COMMON.index(fact.name) if fact.name in COMMON else len(COMMON)))

    def _of(self, at: int, fact: ErrnoFact) -> Iterator[Fault]:
        hit = self.hits[at]
        deny = f"deny[{fact.name.lower()}]"
        once = f'{hit.syscall}: site eq "{hit.site}" then {deny} when {hit.nth}'
        yield Fault(hit=hit, name=fact.name, lasting=False, rules=(once,))
        rules = tuple(self._lasting(at, fact, deny)) if fact.lasting else ()
        if rules:
            yield Fault(hit=hit, name=fact.name, lasting=True, rules=rules)

    def _lasting(self, at: int, fact: ErrnoFact, deny: str) -> Iterator[str]:
        for each in filters_of(self.hits[at], fact, self.folder, self.steady):
            earlier = sum(each.covers(hit) for hit in self.hits[:at])
            yield f"{each.syscall}: {each.text} then {deny} when {earlier + 1}+"


def is_same_as_once(fault: Fault, later: int) -> bool:
    """A lasting fault that would strike nothing more: no call of its kind came after the single one. Of memory the
    single one watches brk or mmap alone, so it cannot tell."""
    return fault.lasting and later == 0 and len(fault.rules) == 1


def representatives(ats: list[int]) -> tuple[int, ...]:
    """First, second and last."""
    return tuple(dict.fromkeys((ats[0], ats[min(1, len(ats) - 1)], ats[-1])))


def filters_of(hit: Hit, fact: ErrnoFact, folder: str, steady: frozenset[str]) -> Iterator[Filter]:
    if fact.name == "ENOMEM" and hit.syscall in MEMORY:
        for name in MEMORY:
            yield Filter(syscall=name, text="true", covers=_calls(name))
        return
    if fact.name in TABLES or (hit.path is None and hit.fd is None):
        yield Filter(syscall=hit.syscall, text="true", covers=_calls(hit.syscall))
        return
    found = _object(hit, fact, folder, steady)
    if found is not None:
        yield found


def _object(hit: Hit, fact: ErrnoFact, folder: str, steady: frozenset[str]) -> Filter | None:
    """The file system, the stream or the file that fails from now on; None for a name that nobody uses again."""
    same = _calls(hit.syscall)
    inside = in_folder(hit.path, folder) if hit.path is not None else None
    if inside is not None and fact.name in SPACE:
        opens = hit.syscall in syscalls.families()["open"]
        limits = "" if not opens else ' and oflags sub "c"' if fact.name in CREATES else ' and not oflags sub "ro"'

        def on_disk(other: Hit) -> bool:
            if not same(other) or other.path is None or in_folder(other.path, folder) is None:
                return False
            return not opens or _opens_so(other, fact)

        return Filter(syscall=hit.syscall, text=f'path match "$CWD"{limits}', covers=on_disk)
    if hit.fd is not None and 0 <= hit.fd <= 2 and inside is None:
        return Filter(
            syscall=hit.syscall, text=f'fd eq "{hit.fd}"', covers=lambda other: same(other) and other.fd == hit.fd
        )
    if hit.path is not None and hit.path in steady and _quotable(hit.path) and not _private(hit.path, folder):
        name = hit.path if inside is None else f"$CWD/{inside}" if inside else "$CWD"
        path = hit.path.lower()  # eq is blind to case
        return Filter(
            syscall=hit.syscall,
            text=f'path eq "{name}"',
            covers=lambda other: same(other) and (other.path or "").lower() == path,
        )
    if fact.name in NAMES:
        return None  # mkstemp(3) goes on to the next name, which is free
    return Filter(syscall=hit.syscall, text=f'site eq "{hit.site}"', covers=lambda other: other.site == hit.site)


def in_folder(path: str, folder: str) -> str | None:
    """The part below the folder; None when it lies elsewhere."""
    if path == folder:
        return ""
    return path[len(folder) + 1 :] if path.startswith(folder + "/") else None


def _opens_so(hit: Hit, fact: ErrnoFact) -> bool:
    return bool(hit.open_flags & os.O_CREAT) if fact.name in CREATES else bool(hit.open_flags & os.O_ACCMODE)


def _private(path: str, folder: str) -> bool:
    """TMPDIR stands beside the working folder, and is elsewhere in each run."""
    return in_folder(path, str(PurePath(folder).parent / "tmp")) is not None or " (deleted)" in path


def _quotable(path: str) -> bool:
    return path.isprintable() and "$" not in path and '"' not in path and "\\" not in path


def _calls(syscall: str) -> Callable[[Hit], bool]:
    """A rule's name stands for its family (read is pread64, too)."""
    members = frozenset(syscalls.families().get(syscall, (syscall,)))
    return lambda hit: hit.syscall in members


def policy_text(fault: Fault, command: tuple[str, ...], stack: tuple[Frame, ...]) -> str:
    """The reproducer: a policy of its own, with comments for the person who reads it."""
    hit = fault.hit
    when = "from there on" if fault.lasting else "once"
    lines = [
        HEADER,
        f"# {' '.join(command)}",
        f"# {hit.syscall} fails with {fault.name}, {when}, at hit {hit.nth} of site {hit.site}:",
        *(f"#   {_frame(frame)}" for frame in shown(stack)),
        *fault.rules,
    ]
    return "\n".join(line if line.isprintable() else ascii(line)[1:-1] for line in lines) + "\n"


def shown(stack: tuple[Frame, ...]) -> tuple[Frame, ...]:
    """The innermost frames, and the program's own ones."""
    own = [frame for frame in stack if frame.own][:FRAMES_SHOWN]
    return tuple(frame for depth, frame in enumerate(stack) if depth == 0 or frame in own)


def _frame(frame: Frame) -> str:
    line = (
        f" ({frame.file.rsplit('/', 1)[-1]}:{frame.line})" if frame.file is not None and frame.line is not None else ""
    )
    module = frame.module.rsplit("/", 1)[-1]
    return f"{frame.function or '?'} in {module}+0x{frame.offset:x}{line}"


def names_of(words: tuple[str, ...]) -> frozenset[str]:
    """Names, families and %classes as plain system calls. KeyError for a name that x86-64 does not have."""
    names: set[str] = set()
    for word in words:
        members = syscalls.in_class(word[1:]) if word.startswith("%") else syscalls.families().get(word, ())
        names |= set(members) or {syscalls.get(word).name}
        if word in syscalls.table():
            names.add(word)
    return frozenset(names)
