"""Which commit changed something: a search between two ends of a line of revisions, by a question that may fail.

Knows nothing of git or of findings. The line goes from old to new; `asked` says of one index whether the new state is
there, or None where it cannot be told. Each index is asked at most once.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

Ask = Callable[[int], bool | None]


class EndsAlike(Exception):
    """No change is to be found between the two ends; `index` is the one that is not as it should be."""

    def __init__(self, index: int, state: bool | None) -> None:
        super().__init__(index, state)
        self.index = index
        self.state = state


@dataclass(slots=True, kw_only=True)
class Line:
    """Remembers answers: index -> state."""

    ask: Ask
    known: dict[int, bool | None] = field(default_factory=dict)

    def state(self, index: int) -> bool | None:
        if index not in self.known:
            self.known[index] = self.ask(index)
        return self.known[index]


def find_old_end(line: Line, new: int) -> int | None:
    """The nearest index in the old state, looked for in steps of 1, 2, 4 ... back from `new`; None: there is none."""
    step, last = 1, new
    while last > 0:
        index = max(0, new - step)
        if line.state(index) is False:
            return index
        last, step = index, step * 2
    return next((index for index in sorted(line.known) if index < new and line.known[index] is False), None)


def search(line: Line, old: int, new: int) -> tuple[int, ...]:
    """Indices one of which is the first in the new state: a single one, unless those before it cannot be told.

    EndsAlike: `old` is not in the old state, or `new` is not in the new one.
    """
    for index, expected in ((new, True), (old, False)):
        if line.state(index) is not expected:
            raise EndsAlike(index, line.state(index))
    while (middle := _middle(line, old, new)) is not None:
        match line.state(middle):
            case True:
                new = middle
            case False:
                old = middle
            case None:
                pass
    return tuple(range(old + 1, new + 1))


def _middle(line: Line, old: int, new: int) -> int | None:
    """The index nearest to the middle that was not asked in vain; None: nothing is left to ask."""
    centre = (old + new) / 2
    inside = (index for index in range(old + 1, new) if line.known.get(index, True) is not None)
    return min(inside, key=lambda index: (abs(index - centre), index), default=None)
