"""A policy from observed behaviour (systrace -A): what a run does and the policy does not permit yet becomes rules.

Observing never refuses a call that no rule decides, io_uring_setup(2) aside: what goes through a ring passes by every
rule. Rules that are there already decide as they would in earnest.
What is learned is only added at the end, so what a person wrote stays as it is.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from errno import ENOSYS
from itertools import groupby
from typing import Final

from firedamp.trace.protocol import PROCEED, Action
from inject.decide.armed import reads_only
from inject.decide.attributes import View, is_nameless
from inject.decide.decider import Decider, DecisionReport
from inject.linux import syscalls
from inject.policy import Policy, unparse
from inject.policy.model import HEADER, Always, And, Condition, Expr, Operator, Permit, Rule, Section

RING: Final = "io_uring_setup"
RINGS: Final = "a ring's requests pass by all rules; the program has to do without, as on a kernel that has none"
MANY_SIBLINGS: Final = 8  # names in one folder: by then the folder is what the program wants, not the names
BROAD: Final = frozenset({"", "/etc", "/usr", "/bin", "/usr/bin", "/home", "/root", "/var", "$HOME", "/dev", "/proc"})
TEMPORARY: Final = re.compile(r"(/tmp|/var/tmp|/dev/shm)/.*")
RANDOM: Final = re.compile(r"(?=[A-Za-z0-9]*[A-Z0-9])[A-Za-z0-9]{6}(?=(\.[a-z0-9]+)?$)")  # mkstemp(3): six of them
RUNS: Final = re.compile(r"^# run (\d+): (\d+) rules? added", re.M)
ADDED: Final = "# run {number}: {count} rule{s} added, {command}"


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Observation:
    """One kind of call that no rule decided. `names`: of files, as filename and filename[1], or the peer's address."""

    program: str
    syscall: str  # as a rule names it
    attribute: str = ""  # filename | sockaddr; "" where the call alone says it
    names: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Observed:
    """What comes back from the tracer."""

    decided: DecisionReport
    observations: tuple[Observation, ...]


class Learner(Decider):
    """An Interceptor that enforces a policy, except that it permits and notes what the policy leaves open."""

    def __init__(self, policy: Policy, *, folder: str | None = None) -> None:
        super().__init__(policy, "enforce", folder=folder)
        self.seen: dict[Observation, None] = {}

    def _denied_by_default(self, view: View) -> Action:
        if view.name == RING:
            self._log(view, "deny", None, f", {RINGS}")
            return Action(suppress=-ENOSYS)
        self.seen[observe(view)] = None
        return PROCEED

    def report(self) -> Observed:  # type: ignore[override]  # the Interceptor's own, opaque to the tracer
        return Observed(decided=super().report(), observations=tuple(self.seen))


def observe(view: View) -> Observation:
    """As systrace groups calls: look-ups and readings are fsread, changes fswrite; others keep their own name."""
    program, name = view.call.program(), view.name
    if is_nameless(view):
        return Observation(program=program, syscall="fstat")
    if view.sockaddr is not None:
        return Observation(program=program, syscall=name, attribute="sockaddr", names=(view.sockaddr,))
    names = tuple(found for index in range(2) if (found := view.filename(index)) is not None)
    if not names:
        return Observation(program=program, syscall=name)
    return Observation(program=program, syscall=_alias(view), attribute="filename", names=names)


def _alias(view: View) -> str:
    families = syscalls.families()
    if view.opens:
        return "fsread" if reads_only(view) else "fswrite"
    return next((alias for alias in ("fsread", "fswrite") if view.name in families[alias]), view.name)


@dataclass(frozen=True, slots=True, kw_only=True)
class Learned:
    """A policy that grew: its text, and how many rules each of its runs added, the earlier ones as well."""

    text: str
    added: tuple[int, ...] = ()

    @property
    def quiet_runs(self) -> int:
        """How many runs in a row, the last ones, added nothing."""
        return next((at for at, count in enumerate(reversed(self.added)) if count), len(self.added))

    def sufficiency(self) -> str:
        """What may be said of the next run. n quiet runs: with 95 % confidence fewer than 1 - 0.05^(1/n) of such runs
        need another rule (the zero-failure bound of Clopper and Pearson, Biometrika 26, 1934)."""
        runs, quiet = len(self.added), self.quiet_runs
        added = f"run {runs} added {self.added[-1]} rule{'s' * (self.added[-1] != 1)}"
        if quiet == 0:
            return f"{added}: not learned enough; run it again, with the inputs and options that it will meet"
        most = 100 * (1 - 0.05 ** (1 / quiet))
        before = f", nor did the {quiet - 1} before it" if quiet > 1 else ""
        return f"{added}{before}: with 95 % confidence fewer than {most:.0f} % of runs like these need another rule"


def grown(
    text: str, observations: Iterable[Observation], command: tuple[str, ...], macros: Mapping[str, str]
) -> Learned:
    """The policy `text` ("" for none) with rules for what was observed. `macros`: $HOME and $CWD with their values."""
    before = tuple(int(found[2]) for found in RUNS.finditer(text))
    items = list(sections(observations, macros))
    count = sum(isinstance(item, Rule) for item in items)
    line = ADDED.format(number=len(before) + 1, count=count, s="s" * (count != 1), command=_plain(" ".join(command)))
    body = unparse(Policy(items=tuple(items))).removeprefix(HEADER + "\n")
    start = text.rstrip("\n") if text.strip() else HEADER
    return Learned(text=f"{start}\n\n{line}\n{body}".rstrip("\n") + "\n", added=(*before, count))


def sections(observations: Iterable[Observation], macros: Mapping[str, str]) -> Iterator[Section | Rule]:
    """A section for each program, its rules in the order of their names."""
    ordered = sorted(set(observations))
    for program, of_program in groupby(ordered, key=lambda each: each.program):
        yield Section(program=program, emulation="linux")
        for (syscall, attribute), group in groupby(of_program, key=lambda each: (each.syscall, each.attribute)):
            for expr in dict.fromkeys(_filters(attribute, [each.names for each in group], macros)):
                yield Rule(syscall=syscall, expr=expr, verdict=Permit())


def _filters(attribute: str, names: list[tuple[str, ...]], macros: Mapping[str, str]) -> Iterator[Expr]:
    if not attribute:
        yield Always()
        return
    patterns = [tuple(pattern(name, macros) for name in each) for each in names]
    crowded = _crowded(each[0] for each in patterns if len(each) == 1)
    for each in patterns:
        folder = each[0].rpartition("/")[0]
        wanted = (f"{folder}/*",) if len(each) == 1 and folder in crowded else each
        yield _expr(attribute, wanted)


def _crowded(patterns: Iterable[str]) -> frozenset[str]:
    """Folders of which so many names are used that the folder itself is meant."""
    folders: dict[str, set[str]] = {}
    for each in patterns:
        folders.setdefault(each.rpartition("/")[0], set()).add(each)
    return frozenset(name for name, used in folders.items() if len(used) >= MANY_SIBLINGS and name not in BROAD)


def _expr(attribute: str, patterns: tuple[str, ...]) -> Expr:
    terms = tuple(
        Condition(
            attribute=attribute,
            index=index or None,
            operator=Operator.MATCH if is_glob(text) else Operator.EQ,
            text=text if is_glob(text) else re.sub(r"\\(.)", r"\1", text),
        )
        for index, text in enumerate(patterns)
    )
    return terms[0] if len(terms) == 1 else And(terms=terms)


def is_glob(text: str) -> bool:
    return re.search(r"(?<!\\)[*?]", text) is not None


def pattern(name: str, macros: Mapping[str, str]) -> str:
    """The name, or a glob where its letters are chance: process numbers, versions of libraries, temporary names."""
    if not name.startswith("/"):
        return re.sub(r"\[\d+\]$", "*", name)  # pipe:[12345], and an address that is no file
    text = re.sub(r"([][*?\\])", r"\\\1", name)
    text = re.sub(r"^/proc/\d+(?=/|$)", "/proc/*", text)
    text = re.sub(r"(/lib[^/]*\.so)\.[0-9][^/]*$", r"\1.*", text)
    if TEMPORARY.fullmatch(text):
        text = RANDOM.sub("??????", text)
    for macro in sorted(macros, key=lambda each: -len(macros[each])):
        value = macros[macro].rstrip("/")
        if value and (text == value or text.startswith(value + "/")):
            return f"${macro}{text[len(value) :]}"
    return text


def _plain(text: str) -> str:
    return text if text.isprintable() else ascii(text)[1:-1]
