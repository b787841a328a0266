"""The plan of a sweep: each site of the clean run x each errno that could really happen there. Pure.

A site is a system call with its call stack. Of its hits the first, the second and the last stand for all. Each errno
is tried once, and where such a failure lasts in the world also from that hit on (scope.py says on what): right after
the single one, which tells whether anything came later that could fail again, for a program that tries again makes
calls that no clean run has. Where a call can come up short (short.py) it does.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Final

from firedamp.outcome import Frame
from inject.linux import syscalls
from inject.linux.syscalls import ErrnoFact
from inject.observe.census import Hit
from inject.policy import parse
from inject.policy.model import HEADER, Item, Policy
from inject.policy.names import ALLOCATION
from inject.sweeps.scope import filters_of
from inject.sweeps.short import NAME as SHORT
from inject.sweeps.short import fills_disk, short_count

STARTUP, TEXT, SAME = "start-up of the dynamic loader", "the program's own text", "fails so without us"
INTERPRETER: Final = "start-up of the interpreter"
COMMON: Final = ("ENOSPC", "EIO", "EACCES", "ENOMEM", "EMFILE")  # a finding is named after the first that shows it
FRAMES_SHOWN: Final = 4
FREEABLE: Final = frozenset({"ENOSPC", "EDQUOT", "EMFILE", "ENFILE", "ENOMEM"})  # a program may make room itself
BURST: Final = 3  # signals in a row; nobody is interrupted for ever, but who tries again must do so each time


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One run. `rules` are policy lines; the first hit that they strike is the site's."""

    hit: Hit
    name: str  # what happens there: an errno's name, or "short"
    lasting: bool
    rules: tuple[str, ...]
    closely: bool = False  # the run is looked at closely, which makes it slower (ledger.py)
    first: "Fault | None" = None  # another one, which the program has handled when this one comes

    @property
    def schedule(self) -> tuple[str, ...]:
        """All rules of the run."""
        return self.rules if self.first is None else (*self.first.schedule, *self.rules)

    def policy(self) -> Policy:
        """What `policy_text` says, without reading all that it says to a person."""
        return Policy(items=tuple(item for line in self.schedule for item in _items(one_line(line))))


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
    allocations: bool | None = None  # also each site of malloc(3); None: the cheap ones

    def wants(self, syscall: str) -> bool:
        return not self.syscalls or syscall in self.syscalls


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
            short = self._short_count(hit)
            self.sites += bool(wanted or short) and hit.nth == 1 and early is None
            for fact in wanted:
                if early is not None:
                    self.skips[early] += 1
                elif hit.result == -fact.number:
                    self.skips[SAME] += 1
                else:
                    yield from self._of(at, fact)
            if early is None and short is not None:
                yield from self._short(at, hit, short)

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
        if fact.name == "EINTR":
            burst = f'{hit.syscall}: site eq "{hit.site}" then {deny} when {hit.nth}..{hit.nth + BURST - 1}'
            yield Fault(hit=hit, name=fact.name, lasting=True, rules=(burst,))
        rules = tuple(self._from(at, fact.name, deny)) if fact.lasting else ()
        if rules:
            yield Fault(hit=hit, name=fact.name, lasting=True, rules=rules)

    def _from(self, at: int, name: str, verdict: str, skipped: int = 0) -> Iterator[str]:
        """From this hit on, or from the next one."""
        until = " until freed" if name in FREEABLE else ""
        for each in filters_of(self.hits[at], name, self.folder, self.steady):
            earlier = sum(each.covers(hit) for hit in self.hits[:at])
            yield f"{each.syscall}: {each.text} then {verdict} when {earlier + 1 + skipped}+{until}"

    def _short_count(self, hit: Hit) -> int | None:
        wanted = self.selection.errnos
        if not self.selection.wants(hit.syscall) or (wanted and SHORT.upper() not in wanted):
            return None
        return short_count(hit)

    def _short(self, at: int, hit: Hit, count: int) -> Iterator[Fault]:
        once = f'{hit.syscall}: site eq "{hit.site}" then partial[{count}] when {hit.nth}'
        if fills_disk(hit):
            then = tuple(self._from(at, "ENOSPC", "deny[enospc]", skipped=1))
            yield Fault(hit=hit, name=SHORT, lasting=False, rules=(once, *then))
            return
        yield Fault(hit=hit, name=SHORT, lasting=False, rules=(once,))
        yield Fault(hit=hit, name=SHORT, lasting=True, rules=tuple(self._from(at, SHORT, f"partial[{count}]")))


def is_same_as_once(fault: Fault, later: int) -> bool:
    """A lasting fault that would strike nothing more: no call of its kind came after the single one. Of memory the
    single one watches brk or mmap alone, so it cannot tell."""
    return fault.lasting and later == 0 and len(fault.rules) == 1


def representatives(ats: list[int]) -> tuple[int, ...]:
    """First, second and last."""
    return tuple(dict.fromkeys((ats[0], ats[min(1, len(ats) - 1)], ats[-1])))


def policy_text(
    fault: Fault, command: tuple[str, ...], stack: tuple[Frame, ...], before: tuple[Frame, ...] = ()
) -> str:
    """The reproducer: a policy of its own, with comments for the person who reads it. `before`: stack of the first."""
    first = () if fault.first is None else story(fault.first, before)
    lines = [HEADER, f"# {' '.join(command)}", *first, *story(fault, stack)]
    return "\n".join(map(one_line, lines)) + "\n"


def one_line(text: str) -> str:
    return text if text.isprintable() else ascii(text)[1:-1]


@lru_cache(maxsize=1024)
def _items(line: str) -> tuple[Item, ...]:
    """A snapshot that looks wrong is run again, and a pair has rules of singles."""
    return parse(line).items


def story(fault: Fault, stack: tuple[Frame, ...]) -> Iterator[str]:
    """Its rules under a comment. How long it lasts is left to the rules, which may be made simpler later."""
    hit = fault.hit
    does = "comes up short" if fault.name == SHORT else f"fails with {fault.name}"
    yield f"# {hit.syscall} {does} at hit {hit.nth} of site {hit.site}:"
    yield from (f"#   {_frame(frame)}" for frame in shown(stack))
    yield from fault.rules


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
        if word == ALLOCATION:
            names.add(word)
            continue
        members = syscalls.in_class(word[1:]) if word.startswith("%") else syscalls.families().get(word, ())
        names |= set(members) or {syscalls.get(word).name}
        if word in syscalls.table():
            names.add(word)
    return frozenset(names)
