"""The table of system calls: names, numbers, arguments, strace's classes, families, and which errnos are real where.

Pure data (syscalls.table from the man pages and headers, syscalls.toml laid over it by hand), read once, at first use.
This room does not know what an errno does to a program; it says only what Linux could do.
"""

import difflib
import errno
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from pathlib import Path
from typing import Any, Final

HERE: Final = Path(__file__).parent
O_WRONLY, O_RDWR, O_CREAT, O_EXCL = 0o1, 0o2, 0o100, 0o200  # asm-generic/fcntl.h
LAST_ERRNO: Final = 4095  # MAX_ERRNO, linux/err.h


class Tier(StrEnum):
    ENVIRONMENT = "environment"  # the world can do this to a right program
    PROGRAM = "program"  # only a wrong program meets it
    IMPOSSIBLE = "impossible"  # a shared page lists it, this call never returns it


class Kind(StrEnum):
    """Of one argument."""

    FD = "fd"
    PATH = "path"
    SOCKADDR = "sockaddr"
    VALUE = "value"


@dataclass(frozen=True, slots=True, kw_only=True)
class Parameter:
    name: str
    kind: Kind


@dataclass(frozen=True, slots=True, kw_only=True)
class ErrnoFact:
    """That one call can return one errno. `when`: conditions as in syscalls.toml, "" for always."""

    number: int
    name: str
    tier: Tier
    when: str = ""
    effect: str = "suppress"  # suppress | commit
    lasting: bool = False
    signal: str | None = None  # that comes with it
    witness: str = "man"  # man | kernel FILE | provoked


@dataclass(frozen=True, slots=True, kw_only=True)
class Syscall:
    name: str
    number: int
    parameters: tuple[Parameter, ...] = ()
    classes: frozenset[str] = frozenset()

    @property
    def errnos(self) -> tuple[ErrnoFact, ...]:
        """What the manual lists, put right by hand; in the order of their names."""
        return _errnos(self.name)

    def indexes(self, kind: Kind) -> tuple[int, ...]:
        return tuple(index for index, parameter in enumerate(self.parameters) if parameter.kind is kind)

    def find_index(self, name: str) -> int | None:
        return next((index for index, parameter in enumerate(self.parameters) if parameter.name == name), None)

    def find_errno(self, number: int) -> ErrnoFact | None:
        return next((fact for fact in self.errnos if fact.number == number), None)


@dataclass(frozen=True, slots=True, kw_only=True)
class CallFacts:
    """What is known of one call when it is asked which errnos could really happen.

    `open_flags` are those of open(2) where the call opens, else those of the descriptor.
    """

    open_flags: int = 0
    descriptor_kind: str | None = None  # file | folder | pipe | socket | tty | device | anon; None: none or unknown
    nonblocking: bool = False
    catches_signals: bool = False
    unrestarted: bool = False  # at least one of its handlers without SA_RESTART
    timed: bool = False  # a socket that waits only so long: SO_RCVTIMEO or SO_SNDTIMEO
    family: str | None = None  # unix | inet: of a socket, or of the address that the call gives
    splits: bool = False  # a mapping falls into two
    creates: bool = False  # O_CREAT, and the file is not there yet

    def hold(self, when: str) -> bool:
        """`when`: words that must all hold; `a|b` holds if either does."""
        return all(any(self._holds(word) for word in words.split("|")) for words in when.split())

    def _holds(self, word: str) -> bool:
        match word:
            case "signals":
                return self.catches_signals
            case "unix" | "inet":
                return word == self.family
            case "splits":
                return self.splits
            case "unrestarted":
                return self.unrestarted
            case "timed":
                return self.timed
            case "nonblocking":
                return self.nonblocking
            case "creates":
                return self.creates
            case "existing":
                return not self.open_flags & O_CREAT
            case "exclusive":
                return bool(self.open_flags & O_CREAT and self.open_flags & O_EXCL)
            case "writes":
                return bool(self.open_flags & (O_WRONLY | O_RDWR | O_CREAT))
        return word == self.descriptor_kind


def errno_number(text: str) -> int | None:
    """ENOSPC, enospc or 28 -> 28; None when it is no errno that a program can see."""
    if text.isascii() and text.isdigit():
        number = int(text) if len(text) <= 4 else 0
        return number if 1 <= number <= LAST_ERRNO else None
    found = getattr(errno, text.upper(), None) if text.isascii() and text[:1] in "eE" else None
    return found if isinstance(found, int) else None


def errno_name(number: int) -> str:
    """28 -> "ENOSPC"; a number that has no name stays one."""
    return {95: "EOPNOTSUPP"}.get(number) or errno.errorcode.get(number, str(number))


def close_to(word: str, known: Iterable[str]) -> str:
    """The end of a message: "; did you mean X?", or nothing."""
    found = difflib.get_close_matches(word, list(known), n=1, cutoff=0.6)
    return f"; did you mean {found[0]}?" if found else ""


def suggest_errno(text: str) -> str:
    return close_to(text.upper(), errno.errorcode.values())


def get(name: str) -> Syscall:
    """The call of that kernel name. KeyError with a suggestion when x86-64 has none."""
    found = table().get(name)
    if found is None:
        raise KeyError(f"{name!r} is no x86-64 system call{close_to(name, table())}")
    return found


def name(number: int) -> str:
    """The name of a number; syscall_N where the table ends."""
    return _names().get(number, f"syscall_{number}")


def plausible(name: str, facts: CallFacts) -> tuple[ErrnoFact, ...]:
    """The errnos of the environment that could really happen at this call, in the order of their names."""
    return tuple(fact for fact in get(name).errnos if fact.tier is Tier.ENVIRONMENT and facts.hold(fact.when))


def provoked(name: str) -> tuple[str, ...]:
    """The errnos that the tests make the kernel itself return from this very call."""
    return tuple(_overlay()["provoked"].get(name, ()))


def in_class(label: str) -> tuple[str, ...]:
    """The members of strace's %label, by number; empty when strace has no such class."""
    label = {"network": "network", "net": "network"}.get(label, label)
    return tuple(call.name for call in table().values() if label in call.classes)


@cache
def classes() -> frozenset[str]:
    return frozenset().union(*(call.classes for call in table().values())) | {"net"}


@cache
def families() -> Mapping[str, tuple[str, ...]]:
    return {label: tuple(members) for label, members in _overlay()["families"].items()}


@cache
def bsd() -> Mapping[str, tuple[str, ...]]:
    """BSD names of old policies; an empty tuple where Linux has no such call."""
    return {label: tuple(members) for label, members in _overlay()["bsd"].items()}


@cache
def table() -> Mapping[str, Syscall]:
    """All calls of x86-64, by name, in the order of their numbers."""
    return {row[1]: _syscall(row) for row in _rows()}


@cache
def _rows() -> tuple[list[str], ...]:
    lines = (HERE / "syscalls.table").read_text().splitlines()
    return tuple(line.split(" ") for line in lines if line[0] != "#")


@cache
def _manual() -> Mapping[str, tuple[str, ...]]:
    """Call -> errnos as its page lists them."""
    return {row[1]: tuple(row[4].split(",")) for row in _rows()}


@cache
def _names() -> Mapping[int, str]:
    return {call.number: call.name for call in table().values()}


@cache
def _overlay() -> Mapping[str, Any]:
    return tomllib.loads((HERE / "syscalls.toml").read_text())


def _syscall(row: list[str]) -> Syscall:
    number, label, arguments, labels, _ = row
    return Syscall(
        name=label,
        number=int(number),
        parameters=tuple(_parameter(text) for text in arguments.split(",") if text != "-"),
        classes=frozenset(part for part in labels.split(",") if part != "-"),
    )


@cache
def _parameter(text: str) -> Parameter:
    kind = {"@": Kind.FD, "/": Kind.PATH, "&": Kind.SOCKADDR}.get(text[0])
    return Parameter(name=text[1:], kind=kind) if kind else Parameter(name=text, kind=Kind.VALUE)


@cache
def _errnos(label: str) -> tuple[ErrnoFact, ...]:
    """The manual's errnos and those laid over, of the call and of the one that it inherits from."""
    overlay, manual = _overlay(), _manual()
    by_name = bool(table()[label].indexes(Kind.PATH)) if label in table() else False
    parent = overlay["inherit"].get(label) or next(
        (head for head, members in families().items() if label in members and head in overlay["call"]), label
    )
    rows: dict[str, dict[str, Any]] = {}
    for source in dict.fromkeys((parent, label)):
        laid = overlay["call"].get(source, {})
        whole = {"effect": laid["effect"]} if "effect" in laid else {}
        for text in (*manual.get(source, ()), *laid):
            number = errno_number(text)
            if number is not None:
                rows[errno_name(number)] = rows.get(errno_name(number), {}) | whole | laid.get(text, {})
    return tuple(_fact(label, by_name, text, row) for text, row in sorted(rows.items()))


def _fact(label: str, by_name: bool, text: str, row: Mapping[str, Any]) -> ErrnoFact:
    defaults = _overlay()["errno"]
    tier = Tier(row.get("tier", Tier.ENVIRONMENT if text in defaults["environment"] else Tier.PROGRAM))
    when = row.get("when", defaults["when"].get(text, ""))
    if text == "EINTR":
        gate = next((word for word, calls in _overlay()["interrupted"].items() if label in calls), None)
        tier = Tier.IMPOSSIBLE if gate is None else tier
        when = f"{defaults['interrupted'].get(gate, '')} {when}".strip()
    if not row and not by_name and text in ("ELOOP", "ENAMETOOLONG", "ENOENT", "ENOTDIR"):
        tier = Tier.IMPOSSIBLE  # fchmod, fchown, munmap ... share a page with a call that does look up a name
    return ErrnoFact(
        number=getattr(errno, text),
        name=text,
        tier=tier,
        when=when,
        effect=row.get("effect", "suppress"),
        lasting=row.get("lasting", text in defaults["lasting"]),
        signal=row.get("signal"),
        witness="provoked" if text in provoked(label) else row.get("witness", "man"),
    )


def __getattr__(attribute: str) -> Any:
    """NUMBERS, name -> number, is made at first use: importing this module reads no file."""
    if attribute == "NUMBERS":
        return {label: call.number for label, call in table().items()}
    raise AttributeError(attribute)
