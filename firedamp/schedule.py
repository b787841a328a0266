"""Who is next, where several targets share one budget of time: more for those that still show new behaviour. Pure.

Stride scheduling (Waldspurger 1995): whoever has had least of what is due is next. A quarter of the time is shared
equally, so that nobody starves and a target that woke up is noticed; the rest goes by what each showed per second of
its latest turns, older turns counting half as much each.
"""

from collections.abc import Collection
from dataclasses import dataclass, field

FLOOR = 0.25  # of the time
FADING = 0.5  # what a turn's worth keeps when another one has passed
TURNS = 8  # that each target gets at least, where time allows
SHORTEST_S, LONGEST_S = 2.0, 30.0  # a turn begins with reading the corpus: some tenths of a second


def turn_s(budget_s: float | None, targets: int) -> float:
    """How long a turn is: a fraction of the budget, in bounds."""
    return LONGEST_S if budget_s is None else min(LONGEST_S, max(SHORTEST_S, budget_s / (TURNS * targets)))


@dataclass(slots=True)
class _Account:
    due: float = 0.0  # time had, divided by its share then
    rate: float | None = None  # new behaviours per second; None: it had no turn yet


@dataclass(slots=True)
class Schedule:
    """Over the names of targets."""

    names: tuple[str, ...]
    _accounts: dict[str, _Account] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._accounts = {name: _Account() for name in self.names}

    def next(self, among: Collection[str]) -> str:
        """Of those that are still under way, at least one; in a tie the first by name's order."""
        return min((name for name in self.names if name in among), key=lambda name: self._accounts[name].due)

    def spent(self, name: str, seconds: float, gain: float) -> None:
        """A turn of `name` is over; it took so long and showed so much."""
        account = self._accounts[name]
        rate = max(0.0, gain) / max(seconds, 1e-3)
        account.rate = rate if account.rate is None else FADING * account.rate + (1 - FADING) * rate
        account.due += seconds / self.share(name)

    def share(self, name: str) -> float:
        """Of the time to come; all shares together are 1."""
        rates = {each: account.rate or 0.0 for each, account in self._accounts.items()}
        whole, equal = sum(rates.values()), 1 / len(self.names)
        return equal if not whole else FLOOR * equal + (1 - FLOOR) * rates[name] / whole
