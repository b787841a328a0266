"""Symbol tables of ELF files (elf(5)): which function an address lies in."""

import re
from bisect import bisect_right
from itertools import pairwise
from struct import Struct

from firedamp.unwind.image import Image

SYMBOL = Struct("<IBBHQQ")
FUNCTION_KINDS = frozenset({2, 10})  # STT_FUNC, STT_GNU_IFUNC
BINDING_ORDER = {1: 0, 2: 1, 0: 2}  # STB_GLOBAL, then STB_WEAK, then STB_LOCAL
TABLES = ((b".symtab", b".strtab"), (b".dynsym", b".dynstr"))
NESTING = 16  # symbols looked at backwards: one may lie inside of another
# what gcc and clang append to the copies and parts they make of a function
CLONE = re.compile(r"(\.(isra|part|constprop|cold|lto_priv|localalias|llvm|specialized|resolver)(\.\d+)*)+$")

Function = tuple[str, int]  # name, where it begins


class Functions:
    """The functions of one file, from .symtab, else from .dynsym. `spans`: (start, end, name) of each, sorted."""

    def __init__(self, image: Image) -> None:
        self.spans: list[tuple[int, int, str]] = []
        for table, names in TABLES:
            self.spans = _spans(image, table, names)
            if self.spans:
                break
        self._starts = [start for start, _, _ in self.spans]

    def find(self, address: int) -> Function | None:
        last = bisect_right(self._starts, address) - 1
        for start, end, name in self.spans[max(0, last - NESTING + 1) : last + 1][::-1]:
            if address < end:
                return name, start
        return None


def _spans(image: Image, table: bytes, names: bytes) -> list[tuple[int, int, str]]:
    """(start, end, name) of each function, sorted; of several names for one place, the public and plain one."""
    symbols, strings = image.section(table), image.section(names)
    if symbols is None or strings is None:
        return []
    data, text = symbols[1], strings[1]
    best: dict[int, tuple[tuple[int, int, int, str], int]] = {}
    for name_at, info, _, section, value, size in SYMBOL.iter_unpack(data[: len(data) // SYMBOL.size * SYMBOL.size]):
        if info & 15 not in FUNCTION_KINDS or section == 0:
            continue
        raw = text[name_at : max(text.find(b"\0", name_at), name_at)].decode("utf-8", "replace")
        name = CLONE.sub("", raw)
        if not name:
            continue
        rank = (BINDING_ORDER.get(info >> 4, 3), len(name) - len(name.lstrip("_")), len(name), name)
        known = best.get(value)
        if known is None or rank < known[0]:
            best[value] = rank, max(size, known[1] if known else 0)
    starts = sorted(best)
    following = dict(pairwise(starts))
    # hand-written assembly may have no size: then up to the next function
    return [
        (start, start + size if size else following.get(start, start), rank[3])
        for start in starts
        for rank, size in (best[start],)
    ]
