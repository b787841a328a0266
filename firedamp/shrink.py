"""Bytes to fewer and simpler bytes, and policies to fewer and simpler rules, for which a predicate still holds.

Knows nothing of targets or findings. For bytes the order is shortlex: fewer bytes first, then smaller bytes from the
left. Tiny passes run to a fixpoint. The invariant is that `best` satisfies the predicate and never grows in that order.
Same value and predicate, same result.
"""

import re
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

Predicate = Callable[[bytes], bool]
SIMPLE = b"0"  # a printable filler reads better in a report than NUL, and is tried first
LONGEST_BYTEWISE = 512  # beyond that, single bytes cost more replays than a person gains


def shortlex(value: bytes) -> tuple[int, bytes]:
    return len(value), value


@dataclass(slots=True, kw_only=True)
class Budget:
    """How much may be spent: calls of the predicate, and seconds of monotonic time. `stopping` ends it at once."""

    calls: int = 500
    seconds: float = 20.0
    stopping: Callable[[], bool] = lambda: False
    _ends: float = field(default=0.0, init=False)

    def __post_init__(self) -> None:
        self._ends = time.monotonic() + self.seconds

    def spend(self) -> bool:
        """One call; false when nothing is left."""
        if self.calls <= 0 or time.monotonic() >= self._ends or self.stopping():
            return False
        self.calls -= 1
        return True


class _Spent(Exception):
    """The budget is used up; carries nothing, for the best value is kept by the search."""


class _Search:
    def __init__(self, value: bytes, predicate: Predicate, budget: Budget) -> None:
        self.best = value
        self._predicate = predicate
        self._budget = budget
        self._tried = {value}

    def offer(self, candidate: bytes) -> bool:
        """Take it if it is simpler and the predicate holds."""
        if shortlex(candidate) >= shortlex(self.best) or candidate in self._tried:
            return False
        if not self._budget.spend():
            raise _Spent
        self._tried.add(candidate)
        if not self._predicate(candidate):
            return False
        self.best = candidate
        return True


def shrink(value: bytes, predicate: Predicate, budget: Budget | None = None) -> bytes:
    """The simplest value found for which `predicate` holds; `value` itself, which is taken to satisfy it, at worst."""
    search = _Search(value, predicate, budget or Budget())
    try:
        before = None
        while before != search.best:
            before = search.best
            for one_pass in PASSES:
                one_pass(search)
    except _Spent:
        pass
    return search.best


def _empty(search: _Search) -> None:
    search.offer(b"")


def _shorten(search: _Search) -> None:
    """Cut the tail: half of it, a quarter, ..., one byte."""
    size = len(search.best)
    while size := size // 2:
        while len(search.best) > size and search.offer(search.best[:-size]):
            pass


def _delete(search: _Search) -> None:
    """Delete chunks anywhere, from large to single bytes."""
    for size in _sizes(len(search.best)):
        start = 0
        while start < len(search.best):
            if not search.offer(search.best[:start] + search.best[start + size :]):
                start += size


def _fill(search: _Search) -> None:
    """Replace chunks by the simplest bytes."""
    for filler in (SIMPLE, b"\0"):
        for size in _sizes(len(search.best)):
            for start in range(0, len(search.best), size):
                best = search.best
                chunk = filler * len(best[start : start + size])
                search.offer(best[:start] + chunk + best[start + size :])


def _lower(search: _Search) -> None:
    """Lower single bytes by bisection."""
    for index in range(min(len(search.best), LONGEST_BYTEWISE)):
        low, high = 0, search.best[index]
        while low < high:
            middle = (low + high) // 2
            if search.offer(search.best[:index] + bytes([middle]) + search.best[index + 1 :]):
                high = middle
            else:
                low = middle + 1


def _sizes(length: int) -> Iterator[int]:
    size = length
    while size := size // 2:
        yield size if length <= LONGEST_BYTEWISE else max(size, length // LONGEST_BYTEWISE)


PASSES = (_empty, _shorten, _delete, _fill, _lower)


LASTING = re.compile(rb"(?m) when (\d+)(\+|\.\.\d+)$")  # from that call on, or for some calls


def shrink_rules(policy: bytes, predicate: Predicate, budget: Budget | None = None) -> bytes:
    """A policy to one without a rule to spare: leaving any single one out, the predicate does not hold any more.

    Then a rule that strikes from the k-th call on strikes the k-th alone, where that is enough. Comments stay. Where
    the budget ends sooner the result satisfies the predicate all the same.
    """
    search = _Rules(policy, predicate, budget or Budget())
    try:
        before = None
        while before != search.best:
            before = search.best
            _leave_out(search)
            _strike_once(search)
    except _Spent:
        pass
    return b"".join(search.best)


class _Rules:
    """`best`: the policy in pieces, comments and rules. Each piece is whole lines."""

    def __init__(self, policy: bytes, predicate: Predicate, budget: Budget) -> None:
        self.best = _pieces(policy)
        self._predicate = predicate
        self._budget = budget
        self._tried = {policy}

    def rules(self) -> list[int]:
        return [at for at, piece in enumerate(self.best) if not _is_comment(piece)]

    def offer(self, candidate: list[bytes]) -> bool:
        policy = b"".join(candidate)
        if policy in self._tried:
            return False
        if not self._budget.spend():
            raise _Spent
        self._tried.add(policy)
        if not self._predicate(policy):
            return False
        self.best = candidate
        return True


def _leave_out(search: _Rules) -> None:
    """Half of the rules, a quarter, ..., single ones, until no single one can be left out (ddmin, Zeller 2002)."""
    size = len(search.rules())
    while size:
        start = 0
        left_out = False
        while len(rules := search.rules()) > max(1, start):
            without = set(rules[start : start + size])
            if len(without) < len(rules) and search.offer(
                [piece for at, piece in enumerate(search.best) if at not in without]
            ):
                left_out = True
            else:
                start += size
        if size > 1 or not left_out:
            size //= 2


def _strike_once(search: _Rules) -> None:
    for at in search.rules():
        once = LASTING.sub(rb" when \1", search.best[at])
        search.offer([*search.best[:at], once, *search.best[at + 1 :]])


def _pieces(policy: bytes) -> list[bytes]:
    """Lines, except that a block in braces or a line that goes on behind a backslash is one piece."""
    pieces: list[bytes] = []
    whole = True
    for line in policy.splitlines(keepends=True):
        pieces[-1:] = [*pieces[-1:], line] if whole else [pieces[-1] + line]
        last = pieces[-1]
        whole = _is_comment(last) or (last.count(b"{") <= last.count(b"}") and not last.rstrip().endswith(b"\\"))
    return pieces


def _is_comment(piece: bytes) -> bool:
    return not piece.strip() or piece.lstrip().startswith(b"#")
