"""Words that a target's own binary compares its input with, where no hook sees it: floating-point and 128-bit
constants, and texts. Read from the instructions and .rodata of the linked file, so what is never used is not offered.

Numbers of up to 64 bits are left out: their comparisons are seen at run time (firedamp/runtime/solver.c).
"""

import re
import struct
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

from elftools.common.exceptions import ELFError
from elftools.elf.elffile import ELFFile

from firedamp.building.format_marks import IN_CODE

MOST_NUMBERS, MOST_TEXTS = 64, 128  # each word takes its turn with the others
LONGEST = 24  # of a text: what is longer is a message and no key word
# Intel SDM vol. 2: mov, ucomi, comi, pcmpeq, cmp of SSE; ModRM mod 00, r/m 101: an operand at rip + disp32
_LOAD = re.compile(
    rb"([\xf2\xf3\x66]?)[\x40-\x4f]?\x0f([\x10\x28\x2e\x2f\x6f\x74-\x76\xc2])[\x05\x0d\x15\x1d\x25\x2d\x35\x3d](?=(.{4}))",
    re.S,
)
_MOVABS = re.compile(rb"[\x48\x49][\xb8-\xbf](?=(.{8}))", re.S)
_NEAR = 40  # bytes of code between the two halves of one 128-bit constant
_TEXT = re.compile(rb"(?<![\x20-\x7e])[\x20-\x7e]{3,%d}(?=\0)" % LONGEST)
# Names of sources in assertions, and what firedamp's own runtime brings along.
_FOREIGN = re.compile(
    rb".*\.(c|h|cc|cpp|cxx|hpp)|__sanitizer\w*|firedamp\w*|\w*(printf|syslog|warnx?|errx?)(_chk)?|error(_at_line)?|input",
    re.S | re.I,
)


def words(binary: Path) -> tuple[bytes, ...]:
    """Each once, bounded in number; none of what is no ELF file, or holds all of libc's, too."""
    try:
        with binary.open("rb") as stream:
            elf = ELFFile(stream)
            code, data = elf.get_section_by_name(".text"), elf.get_section_by_name(".rodata")
            if code is None or elf.get_section_by_name(".dynsym") is None:
                return ()
            text, constants, start = code.data(), data.data() if data else b"", data["sh_addr"] if data else 0
            found = (*_loaded(text, code["sh_addr"], constants, start), *_pairs(text))
            numbers = (word for word in found if not any(mark in word for mark in IN_CODE))
    except ELFError:
        return ()
    texts = (found for found in _TEXT.findall(constants) if not _FOREIGN.fullmatch(found) and b"  " not in found)
    return (*tuple(dict.fromkeys(numbers))[:MOST_NUMBERS], *tuple(dict.fromkeys(texts))[:MOST_TEXTS])


def _loaded(code: bytes, code_start: int, data: bytes, data_start: int) -> Iterator[bytes]:
    """What SSE instructions take from .rodata, and how a person would write it."""
    for found in _LOAD.finditer(code):
        size = _size(found[1], found[2])
        behind = 5 if found[2] == b"\xc2" else 4  # disp32, and the kind of cmps
        at = code_start + found.end() + behind + struct.unpack("<i", found[3])[0] - data_start
        value = data[at : at + size] if 0 <= at <= len(data) - size else b""
        if len(set(value)) > 1:  # else a zero or a mask
            yield value
            yield from _written(value)


def _size(prefix: bytes, opcode: bytes) -> int:
    if opcode in b"\x28\x6f\x74\x75\x76":
        return 16
    return 8 if prefix in {b"\xf2", b"\x66"} else 4


def _written(value: bytes) -> Iterator[bytes]:
    if len(value) == 16:
        return
    number = struct.unpack("<d" if len(value) == 8 else "<f", value)[0]
    text = f"{number:.7g}".encode()
    if float(text) == number or len(value) == 4:
        yield text


def _pairs(code: bytes) -> Iterator[bytes]:
    """Two 64-bit immediates close to each other: the halves of a 128-bit one, in either order."""
    found = list(_MOVABS.finditer(code))
    for one, two in pairwise(found):
        if two.start() - one.start() <= _NEAR:
            yield one[1] + two[1]
            yield two[1] + one[1]
