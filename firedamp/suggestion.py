"""The nearest right word for a wrong one."""

import difflib
from collections.abc import Iterable


def did_you_mean(word: str, possibilities: Iterable[str]) -> str:
    """`; did you mean X?`, or nothing where no word is near."""
    near = difflib.get_close_matches(word, list(possibilities), n=1)
    return f"; did you mean {near[0]}?" if near else ""
