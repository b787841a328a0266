"""Which function of the source an address belongs to, inlined or not, and where that is declared (DWARF 2-5)."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

TAGS = frozenset({"DW_TAG_subprogram", "DW_TAG_inlined_subroutine"})
REFERENCES = ("DW_AT_abstract_origin", "DW_AT_specification")  # where an instance leaves its name (DWARF 5, 3.3.8)


@dataclass(frozen=True, slots=True, kw_only=True)
class Scope:
    """A function of the source: every copy of it, inlined or not, has the same name, file and line."""

    name: str
    file: str
    line: int  # of its declaration


Span = tuple[int, int, Scope]  # [start, end) of code


def spans(unit: Any, files: dict[int, str], ranges: Callable[[Any], Iterator[tuple[int, int]]]) -> list[Span]:
    """The code of each function of a compilation unit and of each inlined copy."""
    found: list[Span] = []
    for entry in unit.iter_DIEs():
        if entry.tag in TAGS and (scope := _scope(entry, files)) is not None:
            found += [(start, end, scope) for start, end in ranges(entry) if start < end]
    return found


def around(table: list[Span], address: int) -> tuple[Scope, ...]:
    """Innermost first."""
    holding = sorted((end - start, number) for number, (start, end, _) in enumerate(table) if start <= address < end)
    return tuple(table[number][2] for _, number in holding)


def _scope(entry: Any, files: dict[int, str]) -> Scope | None:
    facts: dict[str, Any] = {}
    while entry is not None:
        facts = {**{name: each.value for name, each in entry.attributes.items()}, **facts}
        reference = next((name for name in REFERENCES if name in entry.attributes), None)
        entry = entry.get_DIE_from_attribute(reference) if reference is not None else None
    name, line = facts.get("DW_AT_name"), facts.get("DW_AT_decl_line")
    if not isinstance(name, bytes) or not isinstance(line, int):
        return None
    return Scope(name=name.decode("utf-8", "replace"), file=files.get(facts.get("DW_AT_decl_file", -1), ""), line=line)
