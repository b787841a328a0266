"""Which functions of a program check a canary, and which have arrays and do not. Reads the file, runs nothing."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from firedamp.symbols.variables import Buffer, buffers_of, functions

GUARD = b"\x25\x28\x00\x00\x00"  # the operand %fs:0x28 of an instruction
FS = 0x64  # its prefix
REACH = 4  # bytes between prefix and operand: REX, opcode, ModRM


@dataclass(frozen=True, slots=True, kw_only=True)
class Unguarded:
    """A function with an array and without a canary."""

    name: str
    file: str | None
    line: int | None
    buffer: str
    buffer_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Census:
    """Of the functions that debug information names; `known` is false where there is none."""

    known: bool
    guarded: int = 0
    arrays: int = 0  # functions with arrays
    unguarded: tuple[Unguarded, ...] = ()


def census(path: Path) -> Census:
    """Of an ELF file. One that cannot be read, or has no debug information, gives an unknown census."""
    try:
        return _census(path)
    except Exception:  # pyelftools answers bad bytes with a dozen kinds of exceptions
        return Census(known=False)


def _census(path: Path) -> Census:
    from elftools.elf.elffile import ELFFile

    with path.open("rb") as stream:
        elf = ELFFile(stream)
        if elf.get_section_by_name(".debug_info") is None:
            return Census(known=False)
        code = _Code(path, elf)
        guarded = arrays = 0
        unguarded = []
        for unit in elf.get_dwarf_info(follow_links=False).iter_CUs():
            home = _text(unit.get_top_DIE(), "DW_AT_name")
            for function, low, high in functions(unit):
                has_canary = checks_canary(code.between(low, high))
                guarded += has_canary
                found = [each for each in buffers_of(function) if each.name.endswith("[]")]
                arrays += bool(found)
                if found and not has_canary and "firedamp/runtime/" not in home:
                    unguarded.append(_unguarded(function, home, max(found, key=lambda each: each.size_bytes)))
    return Census(known=True, guarded=guarded, arrays=arrays, unguarded=tuple(unguarded))


def checks_canary(code: bytes) -> bool:
    """Whether an instruction in there reads %fs:0x28."""
    at = code.find(GUARD)
    while at >= 0:
        if FS in code[max(0, at - REACH) : at]:
            return True
        at = code.find(GUARD, at + 1)
    return False


class _Code:
    """The bytes of a file by their addresses when it is loaded."""

    def __init__(self, path: Path, elf: Any) -> None:
        self._bytes = path.read_bytes()
        self._segments = tuple(
            (each["p_vaddr"], each["p_vaddr"] + each["p_filesz"], each["p_offset"])
            for each in elf.iter_segments("PT_LOAD")
        )

    def between(self, low: int, high: int) -> bytes:
        for start, end, offset in self._segments:
            if start <= low < end:
                return self._bytes[offset + low - start : offset + min(high, end) - start]
        return b""


def _unguarded(function: Any, home: str, buffer: Buffer) -> Unguarded:
    for origin in ("DW_AT_abstract_origin", "DW_AT_specification"):  # a copy of an inline function; a method's body
        if "DW_AT_name" not in function.attributes and origin in function.attributes:
            function = function.get_DIE_from_attribute(origin)
    line = function.attributes.get("DW_AT_decl_line")
    return Unguarded(
        name=_text(function, "DW_AT_name") or "?",
        file=home or None,
        line=int(line.value) if line is not None else None,
        buffer=buffer.name,
        buffer_bytes=buffer.size_bytes,
    )


def _text(entry: Any, name: str) -> str:
    attribute = entry.attributes.get(name)
    return attribute.value.decode("utf-8", "replace") if attribute is not None else ""
