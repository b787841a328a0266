"""The nodes of a policy: values only. Where they stood in the text is kept, and is no part of their equality."""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Final, NamedTuple

VERSION: Final = 1
HEADER: Final = f"# firedamp policy {VERSION}"


class Span(NamedTuple):
    line: int = 1
    column: int = 1


START: Final = Span()


class Operator(StrEnum):
    EQ = "eq"  # literal, blind to case, as in systrace
    NEQ = "neq"
    MATCH = "match"  # fnmatch(3) with FNM_PATHNAME | FNM_LEADING_DIR
    SUB = "sub"
    NSUB = "nsub"
    INPATH = "inpath"  # the argument is the text, or a folder above it
    RE = "re"  # POSIX ERE, unanchored


# systrace's, and three of ours: path, site, caller
ATTRIBUTES: Final = (
    *("filename", "path", "fd", "oflags", "mode", "site", "caller", "sockaddr", "uid", "uname", "gid", "argv"),
    *("sockdom", "socktype", "pidname", "signame", "cmd", "prot", "flags", "string"),
)
INDEXED: Final = ("filename", "path", "fd", "uid", "uname", "gid", "string")  # a call may have several


@dataclass(frozen=True, slots=True, kw_only=True)
class Always:
    span: Span = field(default=START, compare=False, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Condition:
    attribute: str
    index: int | None = None  # filename[1]: the second of that name
    operator: Operator = Operator.EQ
    text: str
    span: Span = field(default=START, compare=False, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Not:
    term: "Expr"
    span: Span = field(default=START, compare=False, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class And:
    terms: "tuple[Expr, ...]"  # two or more
    grouped: bool = field(default=False, compare=False, repr=False)  # stood in parentheses
    span: Span = field(default=START, compare=False, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Or:
    terms: "tuple[Expr, ...]"  # two or more
    span: Span = field(default=START, compare=False, repr=False)


Expr = Always | Condition | Not | And | Or


@dataclass(frozen=True, slots=True, kw_only=True)
class Permit:
    mode: str | None = None  # inherit | detach, for execve


@dataclass(frozen=True, slots=True, kw_only=True)
class Deny:
    """Fails as Linux fails it: a close releases its descriptor all the same. None is EPERM, unwritten."""

    errno: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Suppress:
    """Fails without happening, whatever Linux would do."""

    errno: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Commit:
    """Happens, then fails."""

    errno: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Partial:
    """A genuine short count: the kernel is asked for `count` bytes at most."""

    count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Corrupt:
    """The call happens, and `count` bytes of its data are other ones: of what it read, or of what it writes."""

    count: int
    seed: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Retval:
    value: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    patience_ns: int | None = None  # None: as long as usual


Verdict = Permit | Deny | Suppress | Commit | Partial | Corrupt | Retval | Ask


@dataclass(frozen=True, slots=True, kw_only=True)
class When:
    """strace's window F[..L][+[S]] over the matching calls, which count from 1. `last` None: no end."""

    first: int
    last: int | None
    step: int = 1

    def holds(self, nth: int) -> bool:
        return self.first <= nth <= (self.last or nth) and (nth - self.first) % self.step == 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Chance:
    probability: float
    seed: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """`, if user = root`: only for processes of that user or group."""

    subject: str  # user | group
    comparison: str  # = != < >
    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """One line. `syscall` is a call, a family, an alias, a BSD name, or a %class."""

    syscall: str
    emulation: str | None = None  # native | linux, as it was written
    expr: Expr = field(default_factory=Always)
    verdict: Verdict
    signal: int | None = None
    delay_entry_ns: int = 0
    delay_exit_ns: int = 0
    log: bool = False
    run_as: tuple[str, str | None] | None = None  # user, group
    once: bool = False
    when: When | None = None
    after: int | None = None
    limit: int | None = None
    until_freed: bool = False  # what is short is given back: a descriptor, space on the disk, memory
    chance: Chance | None = None
    group: str | None = None  # xor
    identity: Identity | None = None
    span: Span = field(default=START, compare=False, repr=False)

    @property
    def grants(self) -> bool:
        """A right that can be used up. A signal or a pause is a fault, and once it is over the call is as before."""
        disturbs = self.signal is not None or self.delay_entry_ns or self.delay_exit_ns
        return isinstance(self.verdict, Permit) and not disturbs


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """One member of strace's set: a call's name or number, all, none, %class, or /ERE."""

    text: str
    optional: bool = False  # ?name: no error where there is no such call


@dataclass(frozen=True, slots=True, kw_only=True)
class Poke:
    """@argN=HEX: these bytes are written where the call's argument N, from 1, points to."""

    argument: int
    data: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class StraceRule:
    """inject=SET:... or fault=SET:..., for exactly the calls that it names."""

    fault: bool = False  # written in the old form
    selections: tuple[Selection, ...]
    inverted: bool = False
    error: int | None = None
    retval: int | None = None
    signal: int | None = None
    syscall: str | None = None
    delay_enter_ns: int = 0
    delay_exit_ns: int = 0
    poke_enter: tuple[Poke, ...] = ()
    poke_exit: tuple[Poke, ...] = ()
    when: When | None = None
    span: Span = field(default=START, compare=False, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """`Policy: /bin/ls, Emulation: linux`: what follows holds for processes that run this program."""

    program: str
    emulation: str
    detached: bool = False
    span: Span = field(default=START, compare=False, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Child:
    """child "PROGRAM" { ... }: for that program when it is started by the one under condition."""

    program: str
    rules: "tuple[Rule | StraceRule | Child, ...]"
    span: Span = field(default=START, compare=False, repr=False)


Item = Rule | StraceRule | Section | Child


@dataclass(frozen=True, slots=True, kw_only=True)
class Scope:
    """The processes that a rule is for: of a section's program, or of those that it started, one clause in another."""

    section: str | None = None
    children: tuple[str, ...] = ()  # the programs of the clauses, outermost first


EVERYWHERE: Final = Scope()


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    items: tuple[Item, ...] = ()
    source: str = field(default="<policy>", compare=False)

    @property
    def rules(self) -> tuple[Rule | StraceRule, ...]:
        """In the order in which they are tried; their indexes are what strikes and counts speak of."""
        return tuple(rule for rule, _ in self.scoped())

    def scoped(self) -> Iterator[tuple[Rule | StraceRule, Scope]]:
        """Each rule with the processes that it is for."""
        scope = EVERYWHERE
        for item in self.items:
            match item:
                case Section():
                    scope = Scope(section=item.program)
                case Child():
                    yield from _scoped(item, scope)
                case _:
                    yield item, scope

    @property
    def detached(self) -> tuple[str, ...]:
        """The programs that are not interfered with."""
        return tuple(item.program for item in self.items if isinstance(item, Section) and item.detached)


def _scoped(child: Child, outer: Scope) -> Iterator[tuple[Rule | StraceRule, Scope]]:
    scope = replace(outer, children=(*outer.children, child.program))
    for item in child.rules:
        if isinstance(item, Child):
            yield from _scoped(item, scope)
        else:
            yield item, scope


@dataclass(frozen=True, slots=True, kw_only=True)
class Note:
    """What a person should know about a policy that is legal."""

    message: str
    span: Span = START
    learned: bool = False  # holds for most rules that `learn` writes: said where a policy is checked, not at each run

    def __str__(self) -> str:
        return f"{self.span.line}:{self.span.column}: {self.message}"
