"""Two faults in one run: a first that the program handles, and a second in what it does then.

Error handlers run rarely, and what fails inside them is tested never. The calls that a run makes after its fault are
sites of their own: each is made to fail as well. Bounded: one pair for each first site, second site and fault; calls
that no clean run makes come first; at most PAIRS_OF_A_SITE for each first site. What a first or a second fault shows
alone is not looked for again. Pure: probe.py makes the runs.
"""

from collections import Counter
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, field, replace
from typing import Final

from inject.observe.census import Hit
from inject.sweeps.plan import Fault

PAIRS_OF_A_SITE: Final = 60
BEYOND: Final = f"pairs beyond the first {PAIRS_OF_A_SITE} of a site"
ALONE: Final = "the second fault alone is a finding"

Planning = Callable[[tuple[Hit, ...], str], Iterable[Fault]]  # of the calls of a run in a working folder


@dataclass(frozen=True, slots=True, kw_only=True)
class Probe:
    """To be looked at: what does the program do after this fault?"""

    first: Fault


@dataclass(slots=True, kw_only=True)
class Pairing:
    """Which second faults are worth a run. `usual`: sites of the clean run."""

    usual: Collection[str]
    seen: set[tuple[str, str, str]] = field(default_factory=set)  # first site, second site, second fault
    counts: Counter[str] = field(default_factory=Counter)  # pairs of a first site
    found: set[tuple[str, str]] = field(default_factory=set)  # site and fault that are a finding alone
    skips: Counter[str] = field(default_factory=Counter)

    def of(self, first: Fault, seconds: Iterable[Fault]) -> list[Fault]:
        chosen = []
        for second in sorted(seconds, key=lambda fault: fault.hit.site in self.usual):
            pair = (first.hit.site, second.hit.site, second.name)
            if second.lasting or len(second.rules) > 1 or pair in self.seen:
                continue
            self.seen.add(pair)
            if (second.hit.site, second.name) in self.found:
                self.skips[ALONE] += 1
            elif self.counts[first.hit.site] >= PAIRS_OF_A_SITE:
                self.skips[BEYOND] += 1
            else:
                self.counts[first.hit.site] += 1
                chosen.append(replace(second, first=first))
        return chosen
