"""Arrays and structures on the stack of a function, by its debug information (DWARF 2-5, read by pyelftools)."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

FRAME_ADDRESS, RBP, RSP, OFFSET = 0x9C, 0x56, 0x57, 0x91  # DW_OP_call_frame_cfa, _reg6, _reg7, _fbreg (DWARF 5, 7.7.1)
TRANSPARENT = frozenset({"DW_TAG_typedef", "DW_TAG_const_type", "DW_TAG_volatile_type"})
RECORDS = frozenset({"DW_TAG_structure_type", "DW_TAG_union_type"})
SCOPES = frozenset({"DW_TAG_lexical_block", "DW_TAG_inlined_subroutine"})
BASES = {FRAME_ADDRESS: "cfa", RBP: "rbp", RSP: "rsp"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Buffer:
    """A local variable that an overflow can leave: `base` is the canonical frame address, rbp or rsp."""

    name: str  # `name[]` for an array
    size_bytes: int
    base: str  # "cfa" | "rbp" | "rsp"
    offset: int


def buffers(unit: Any, address: int) -> tuple[Buffer, ...]:
    """Of the function of a compilation unit in whose code `address` lies."""
    function = next((entry for entry, low, high in functions(unit) if low <= address < high), None)
    return () if function is None else buffers_of(function)


def buffers_of(function: Any) -> tuple[Buffer, ...]:
    """Of a function's own entry, those of its blocks and of functions inlined there with them."""
    base = BASES.get(next(iter(_expression(function, "DW_AT_frame_base")), 0))
    found = (_buffer(entry, base) for entry in _variables(function)) if base is not None else ()
    return tuple(each for each in found if each is not None)


def functions(unit: Any) -> Iterator[tuple[Any, int, int]]:
    """(entry, start, end) of each function that has code of its own in one piece."""
    for entry in unit.iter_DIEs():
        if (
            entry.tag == "DW_TAG_subprogram"
            and "DW_AT_high_pc" in entry.attributes
            and "DW_AT_low_pc" in entry.attributes
        ):
            low, high = entry.attributes["DW_AT_low_pc"].value, entry.attributes["DW_AT_high_pc"]
            # a constant is a length since DWARF 4 (2.17.2)
            yield entry, low, high.value if high.form == "DW_FORM_addr" else low + high.value


def _variables(scope: Any) -> Iterator[Any]:
    for entry in scope.iter_children():
        if entry.tag == "DW_TAG_variable":
            yield entry
        elif entry.tag in SCOPES:
            yield from _variables(entry)


def _buffer(entry: Any, base: str) -> Buffer | None:
    """None for what is no array and no structure, or does not lie at one place of the frame."""
    location = _expression(entry, "DW_AT_location")
    if not location or location[0] != OFFSET:
        return None
    origin = (
        entry.get_DIE_from_attribute("DW_AT_abstract_origin") if "DW_AT_abstract_origin" in entry.attributes else entry
    )
    kind = _type(origin)
    if kind is None or kind.tag not in {"DW_TAG_array_type", *RECORDS} or "DW_AT_name" not in origin.attributes:
        return None
    size = _size(kind)
    name = origin.attributes["DW_AT_name"].value.decode("utf-8", "replace")
    if not size:
        return None
    mark = "[]" if kind.tag == "DW_TAG_array_type" else ""
    return Buffer(name=name + mark, size_bytes=size, base=base, offset=_signed(location[1:]))


def _expression(entry: Any, name: str) -> list[int]:
    """A DWARF expression as bytes; empty for a list of locations."""
    attribute = entry.attributes.get(name)
    return list(attribute.value) if attribute is not None and isinstance(attribute.value, list | bytes) else []


def _type(entry: Any) -> Any:
    while entry is not None and "DW_AT_type" in entry.attributes:
        entry = entry.get_DIE_from_attribute("DW_AT_type")
        if entry.tag not in TRANSPARENT:
            return entry
    return None


def _size(kind: Any) -> int | None:
    """In bytes; None where it is decided when the program runs."""
    if "DW_AT_byte_size" in kind.attributes:
        return int(kind.attributes["DW_AT_byte_size"].value)
    if kind.tag == "DW_TAG_pointer_type":
        return 8
    element = _type(kind) if kind.tag == "DW_TAG_array_type" else None
    size = _size(element) if element is not None else None
    for dimension in kind.iter_children():
        count = _count(dimension)
        size = None if size is None or count is None else size * count
    return size


def _count(dimension: Any) -> int | None:
    for name, more in (("DW_AT_count", 0), ("DW_AT_upper_bound", 1)):
        attribute = dimension.attributes.get(name)
        if attribute is not None:
            return int(attribute.value) + more if isinstance(attribute.value, int) else None
    return None


def _signed(encoded: list[int]) -> int:
    """SLEB128 (DWARF 5, 7.6)."""
    value = shift = 0
    for byte in encoded:
        value |= (byte & 0x7F) << shift
        shift += 7
        if not byte & 0x80:
            return value - (1 << shift) if byte & 0x40 else value
    return value
