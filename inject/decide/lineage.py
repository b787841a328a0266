"""Which programs led to each process, and so which rules of a policy are for it.

A lineage is the programs that a process and its forebears executed, oldest first; a fork copies it and an execve adds
to it. permit[inherit] keeps it as it was, permit[detach] empties it for good: nothing is for a process without lineage.

A child is known by the result of its fork. One that makes a call before its parent has returned (always after vfork) is
known by its parent in /proc, which at that time is still the one that forked.
"""

import os
from dataclasses import dataclass, field
from functools import cache
from typing import Final

from firedamp.trace.protocol import Call
from inject.linux import syscalls
from inject.linux.arguments import program_of
from inject.policy.model import Child, Permit, Policy, Rule, Scope

DETACHED: Final[tuple[str, ...]] = ()
CLONE_THREAD: Final = 0x10000  # linux/sched.h
FORKS: Final = frozenset({"fork", "vfork", "clone", "clone3"})
EXECS: Final = frozenset({"execve", "execveat"})


@dataclass(slots=True)
class Lineages:
    """For one run. `follows`: only then are forks watched; else a process is what it runs now."""

    scopes: frozenset[Scope]
    detached: frozenset[str]
    follows: bool
    known: dict[int, tuple[str, ...]] = field(default_factory=dict)  # by process
    modes: dict[int, str | None] = field(default_factory=dict)  # of the execve that a process is in
    held: dict[tuple[str, ...], frozenset[Scope]] = field(default_factory=dict)

    def numbers(self) -> frozenset[int]:
        """The calls whose results must be known."""
        return frozenset(syscalls.get(name).number for name in FORKS | EXECS) if self.follows else frozenset()

    def of(self, call: Call) -> tuple[str, ...]:
        if not self.follows:
            return (_real(call.program()),)
        pid = call.pid
        if pid not in self.known:
            self.known[pid] = self.known.get(parent_of(pid), (_real(call.program()),))
        return self.known[pid]

    def unhindered(self, lineage: tuple[str, ...]) -> bool:
        return not lineage or lineage[-1] in self.detached

    def holds(self, scope: Scope, lineage: tuple[str, ...]) -> bool:
        if lineage not in self.held:
            self.held[lineage] = holding(self.scopes, lineage)
        return scope in self.held[lineage]

    def begin(self, call: Call, mode: str | None) -> None:
        """A fork or an execve is about to happen; `mode`: what the rule that permitted it says of the new program."""
        self.of(call)
        self.modes[call.pid] = mode

    def end(self, call: Call, name: str, result: int) -> None:
        pid = call.pid
        if name in FORKS and result > 0 and not _makes_thread(call, name):
            self.known.setdefault(result, self.of(call))
        elif name in EXECS and result == 0:
            mode, before = self.modes.pop(pid, None), self.of(call)
            if mode == "detach" or not before:
                self.known[pid] = DETACHED
            elif mode is None:
                self.known[pid] = (*before, _real(program_of(pid) or ""))


def lineages(policy: Policy) -> Lineages | None:
    """None: every rule is for every process."""
    scopes = {real_scope(scope) for _, scope in policy.scoped()}
    detached = frozenset(map(_real, policy.detached))
    modes = any(isinstance(rule, Rule) and is_exec_mode(rule) for rule in policy.rules)
    follows = modes or any(isinstance(item, Child) for item in policy.items)
    if not follows and not detached and scopes <= {Scope()}:
        return None
    return Lineages(scopes=frozenset(scopes), detached=detached, follows=follows)


def is_exec_mode(rule: Rule) -> bool:
    return isinstance(rule.verdict, Permit) and rule.verdict.mode is not None


def real_scope(scope: Scope) -> Scope:
    """With links followed: /bin/sh is what /proc names as its file."""
    section = None if scope.section is None else _real(scope.section)
    return Scope(section=section, children=tuple(map(_real, scope.children)))


def holding(scopes: frozenset[Scope], lineage: tuple[str, ...]) -> frozenset[Scope]:
    """Those that are for a process of this lineage. Where a child clause is, the section of its program is not."""
    clauses = frozenset(scope for scope in scopes if scope.children and _descends(scope, lineage))
    sections = frozenset(scope for scope in scopes if not scope.children and scope.section in (None, lineage[-1]))
    return clauses | (frozenset(scope for scope in sections if scope.section is None) if clauses else sections)


def _descends(scope: Scope, lineage: tuple[str, ...]) -> bool:
    """The innermost clause names the program, the others forebears in their order; a section, the first of them."""
    *outer, program = scope.children
    forebears = iter(lineage[:-1])
    if scope.section is None:
        if next(forebears, None) is None:  # the command itself was started by nobody that a policy knows
            return False
    else:
        outer = [scope.section, *outer]
    return program == lineage[-1] and all(name in forebears for name in outer)


def parent_of(pid: int) -> int:
    """0 when it is gone."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            return int(file.read().rpartition(b")")[2].split()[1])
    except (OSError, IndexError, ValueError):
        return 0


def _makes_thread(call: Call, name: str) -> bool:
    if name == "clone":
        return bool(call.arguments[0] & CLONE_THREAD)
    if name == "clone3":  # struct clone_args begins with its flags
        return bool(int.from_bytes(call.memory(call.arguments[0], 8), "little") & CLONE_THREAD)
    return False


@cache
def _real(program: str) -> str:
    return os.path.realpath(program)
