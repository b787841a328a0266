"""Static libraries: the object files in an ar(5) archive, GNU and thin ones. Anything else has no members."""

import io
from collections.abc import Iterator
from pathlib import Path

MAGIC, THIN = b"!<arch>\n", b"!<thin>\n"
_HEADER_BYTES = 60  # ar.h, struct ar_hdr: 16 name, 12 date, 6 uid, 6 gid, 8 mode, 10 size, 2 end
_NAME, _SIZE = slice(0, 16), slice(48, 58)
_TABLES = (b"/", b"/SYM64/", b"//")  # symbols, and names that are longer than a header holds


def members(path: Path) -> Iterator[io.BytesIO]:
    """The content of each member, in order. What is cut off or damaged ends the list. Raises OSError."""
    data = path.read_bytes()
    thin = data.startswith(THIN)
    long_names = b""
    at = len(MAGIC)
    while data.startswith((MAGIC, THIN)) and len(header := data[at : at + _HEADER_BYTES]) == _HEADER_BYTES:
        name, size = header[_NAME].rstrip(), header[_SIZE].strip()
        if not size.isdigit():
            return
        content = data[at + _HEADER_BYTES : at + _HEADER_BYTES + int(size)]
        if name == b"//":
            long_names = content
        elif name not in _TABLES:
            yield io.BytesIO(_elsewhere(path, name, long_names) if thin else content)
        kept = 0 if thin and name not in _TABLES else int(size)
        at += _HEADER_BYTES + kept + kept % 2


def _elsewhere(archive: Path, name: bytes, long_names: bytes) -> bytes:
    """A thin archive has names in place of members; a name ends with a slash, a long one with a newline, too."""
    if name[1:].isdigit():
        name = long_names[int(name[1:]) :].partition(b"/\n")[0]
    file = archive.parent / name.removesuffix(b"/").decode("utf-8", "surrogateescape")
    return file.read_bytes() if file.is_file() else b""
